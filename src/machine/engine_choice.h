// Which engine runs a machine, and why. There is no silent fallback: whoever asks for an engine by name gets
// that one or an error, and the reason of an automatic choice is for the user to read.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/engine.h"
#include "machine/machine_config.h"

namespace eidolon::machine {

enum class EngineKind : uint8_t { kTranslate, kStep, kLockstep };

struct EngineDecision {
  EngineKind kind;
  std::string reason;  ///< half a sentence: "as asked for", "no hardware ..."
};

/// "auto", "translate", "step" or "lockstep".
[[nodiscard]] Result<EngineChoice> parse_engine_choice(std::string_view text);
[[nodiscard]] std::string_view engine_name(EngineKind kind);

/// `kvm_device`: whether the host has a /dev/kvm, which this version does not use but owes a word about.
[[nodiscard]] Result<EngineDecision> decide_engine(EngineChoice choice, bool kvm_device);
[[nodiscard]] Result<std::unique_ptr<engine::Engine>> make_engine(EngineKind kind, cpu::Cpu& cpu,
                                                                  const MachineConfig& config);

}  // namespace eidolon::machine
