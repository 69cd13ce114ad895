// The options of `eidolon run`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/machine_options.h"
#include "control/run_request.h"
#include "control/session_options.h"

namespace eidolon::control {

/// The options of a machine that starts from firmware, or of what guests are told on the side.
struct FirmwareText {
  std::string firmware, variables, log, boot;
  std::vector<std::string> items, strings;
};

/// All of them as they were typed.
struct RunText {
  MachineText machine;
  SessionText session;
  std::vector<std::string> disks;
  std::vector<std::string> cdroms;
  std::vector<std::string> floppies;
  FirmwareText firmware;
  std::vector<std::string> nets;
  std::vector<std::string> published;
  std::string console;
  std::vector<std::string> ports;
  std::string vsock;
  std::vector<std::string> shares;
  std::vector<std::string> pmem;
  std::string usb = "none";
  std::string vga = "std";
  std::string balloon = "virtio";
  std::string virtio = "pci";
  std::string input = "none";
};

class RunOptions {
 public:
  void describe(CLI::App& app);
  [[nodiscard]] bool parsed() const { return run_ != nullptr && run_->parsed(); }
  /// What was typed. Opens nothing but the files of --fw-cfg.
  [[nodiscard]] Result<RunRequest> read() const;

 private:
  CLI::App* run_ = nullptr;
  RunText text_;
};

}  // namespace eidolon::control
