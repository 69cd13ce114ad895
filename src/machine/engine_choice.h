// Which engine runs a machine, and why. There is no silent fallback: whoever asks for an engine by name gets
// that one or an error, and the reason of an automatic choice is for the user to read.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/engine.h"
#include "machine/machine_config.h"

namespace eidolon::engine::kvm {
class VirtualMachine;
}  // namespace eidolon::engine::kvm

namespace eidolon::machine {

enum class EngineKind : uint8_t { kTranslate, kKvm, kStep, kLockstep };

struct EngineDecision {
  EngineKind kind;
  std::string reason;  ///< half a sentence: "as asked for", "no hardware ..."
};

/// "auto", "translate", "kvm", "step" or "lockstep".
[[nodiscard]] Result<EngineChoice> parse_engine_choice(std::string_view text);
/// "auto", "user" or "split".
[[nodiscard]] Result<IrqchipChoice> parse_irqchip_choice(std::string_view text);
[[nodiscard]] std::string_view engine_name(EngineKind kind);

/// `kvm` tells whether the host's KVM is worth using, or in half a sentence why not; it is asked only if the
/// choice is ours.
[[nodiscard]] Result<EngineDecision> decide_engine(EngineChoice choice, const std::function<Result<>()>& kvm);
/// Asks the host (engine/kvm/probe.h).
[[nodiscard]] Result<> probe_kvm();

/// Makes the engines of one machine's processors.
class EngineMaker {
 public:
  /// All of them are of this kind.
  EngineMaker(EngineKind kind, const MachineConfig& config) : kind_(kind), config_(config) {}
  [[nodiscard]] Result<std::unique_ptr<engine::Engine>> make(cpu::Cpu& cpu);
  /// What they have in common under KVM; null: nothing, or it is another engine.
  [[nodiscard]] std::shared_ptr<engine::kvm::VirtualMachine> virtual_machine() const { return kvm_; }

 private:
  [[nodiscard]] size_t code_cache_bytes() const;
  [[nodiscard]] Result<> make_virtual_machine(const memory::GuestMemory& memory);
  const EngineKind kind_;
  const MachineConfig& config_;
  std::shared_ptr<engine::kvm::VirtualMachine> kvm_;
};

}  // namespace eidolon::machine
