#include "machine/engine_choice.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/try.h"
#include "engine/kvm/kvm_engine.h"
#include "engine/kvm/probe.h"
#include "engine/lockstep/lockstep_engine.h"
#include "engine/step/step_engine.h"
#include "engine/translate/translate_engine.h"
#include "machine/host_facts.h"

namespace eidolon::machine {

Result<EngineChoice> parse_engine_choice(std::string_view text) {
  if (text == "auto") return EngineChoice::kAuto;
  if (text == "translate") return EngineChoice::kTranslate;
  if (text == "kvm") return EngineChoice::kKvm;
  if (text == "step") return EngineChoice::kStep;
  if (text == "lockstep") return EngineChoice::kLockstep;
  return fail("--engine does not know '{}'; it takes auto, translate, kvm, step or lockstep", text);
}

Result<IrqchipChoice> parse_irqchip_choice(std::string_view text) {
  if (text == "auto") return IrqchipChoice::kAuto;
  if (text == "user") return IrqchipChoice::kUser;
  if (text == "split") return IrqchipChoice::kSplit;
  return fail("--irqchip does not know '{}'; it takes auto, user or split", text);
}

std::string_view engine_name(EngineKind kind) {
  switch (kind) {
    case EngineKind::kKvm:
      return "kvm";
    case EngineKind::kStep:
      return "step";
    case EngineKind::kLockstep:
      return "lockstep";
    case EngineKind::kTranslate:
      break;
  }
  return "translate";
}

Result<> probe_kvm() {
  if (!host_has_kvm_device()) return fail("there is no /dev/kvm");
  // Once: a guest that resets goes on under the same engine.
  static const Result<> works = engine::kvm::probe();
  if (!works) return fail("there is a /dev/kvm, but {}", works.error().message);
  return {};
}

Result<EngineDecision> decide_engine(EngineChoice choice, const std::function<Result<>()>& kvm) {
  const auto asked = [](EngineKind kind) { return EngineDecision{.kind = kind, .reason = "as asked for"}; };
  switch (choice) {
    case EngineChoice::kStep:
      return asked(EngineKind::kStep);
    case EngineChoice::kTranslate:
      return asked(EngineKind::kTranslate);
    case EngineChoice::kKvm:
      return asked(EngineKind::kKvm);
    case EngineChoice::kLockstep:
      return asked(EngineKind::kLockstep);
    case EngineChoice::kAuto:
      break;
  }
  const Result<> usable = kvm();
  if (usable) return EngineDecision{.kind = EngineKind::kKvm, .reason = "this host's KVM is fast"};
  return EngineDecision{.kind = EngineKind::kTranslate, .reason = usable.error().message};
}

/// Places for processors that come and go are for the monitor's local APICs: theirs are reset from outside.
Result<> EngineMaker::make_virtual_machine(const memory::GuestMemory& memory) {
  using engine::kvm::Irqchip;
  const bool changes = config_.present != 0 && config_.present < config_.topology.processors();
  if (config_.irqchip == IrqchipChoice::kSplit && changes)
    return fail("--irqchip split needs all processors from the start; leave out max= in --cpus");
  const Irqchip irqchip = config_.irqchip == IrqchipChoice::kSplit ? Irqchip::kSplit : Irqchip::kUser;
  kvm_ = EIDOLON_TRY(engine::kvm::VirtualMachine::create(memory, irqchip));
  return {};
}

/// What one processor's translations may take: a kernel with a compiler fills 64 MiB, and whoever starts
/// afresh all the time translates more than it runs. The host supplies what is used.
size_t EngineMaker::code_cache_bytes() const {
  constexpr size_t kAll = size_t{1} << 30, kLeast = size_t{64} << 20, kMost = size_t{256} << 20;
  return std::clamp(std::bit_floor(kAll / config_.topology.processors()), kLeast, kMost);
}

Result<std::unique_ptr<engine::Engine>> EngineMaker::make(cpu::Cpu& cpu) {
  switch (kind_) {
    case EngineKind::kStep:
      return std::make_unique<engine::StepEngine>(cpu);
    case EngineKind::kLockstep:
      return EIDOLON_TRY(engine::LockstepEngine::create(cpu, {.begin_at_port = config_.lockstep_from_port}));
    case EngineKind::kKvm:
      if (kvm_ == nullptr) EIDOLON_TRY(make_virtual_machine(cpu.memory));
      return EIDOLON_TRY(engine::KvmEngine::create(cpu, kvm_));
    case EngineKind::kTranslate:
      break;
  }
  return EIDOLON_TRY(engine::TranslateEngine::create(cpu, {.cache_bytes = code_cache_bytes(),
                                                           .observer = config_.block_observer,
                                                           .sample_time = config_.sample_time}));
}

}  // namespace eidolon::machine
