// What a user may say about a machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace eidolon::machine {

enum class EngineChoice : uint8_t { kAuto, kTranslate, kStep, kLockstep };

struct MachineConfig {
  std::string kernel_path;
  std::optional<std::string> initrd_path;
  std::string command_line;
  uint64_t memory_bytes = uint64_t{512} << 20;
  std::string cpu_model = "host";
  EngineChoice engine = EngineChoice::kAuto;
  /// Lockstep begins when the guest first writes to this port, not at once.
  std::optional<uint16_t> lockstep_from_port;
};

}  // namespace eidolon::machine
