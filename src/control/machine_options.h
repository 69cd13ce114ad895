// The options that every command has which starts a machine from a kernel.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::control {

/// The options of a machine as they were typed.
struct MachineText {
  std::string kernel, initrd, append;
  std::string unpack = "host";
  std::string memory = "512M";
  std::string cpu = "host";
  std::string cpus = "1";
  std::string paravirt = "kvm";
};

/// Adds them to a command; returns --kernel.
CLI::Option* describe_machine(CLI::App& command, MachineText& text);
[[nodiscard]] Result<machine::MachineConfig> read_machine(const MachineText& text);

}  // namespace eidolon::control
