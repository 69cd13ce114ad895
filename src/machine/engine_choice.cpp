#include "machine/engine_choice.h"

#include <algorithm>

#include "engine/lockstep/lockstep_engine.h"
#include "engine/step/step_engine.h"
#include "engine/translate/translate_engine.h"

namespace eidolon::machine {

namespace {
/// Each processor has a code cache of its own: several make do with less, so that many fit into the host.
size_t cache_bytes(unsigned processors) {
  constexpr size_t kLeast = size_t{16} << 20, kAll = size_t{256} << 20;
  return std::clamp(kAll / processors, kLeast, engine::TranslateEngine::Options{}.cache_bytes);
}
}  // namespace

Result<EngineChoice> parse_engine_choice(std::string_view text) {
  if (text == "auto") return EngineChoice::kAuto;
  if (text == "translate") return EngineChoice::kTranslate;
  if (text == "step") return EngineChoice::kStep;
  if (text == "lockstep") return EngineChoice::kLockstep;
  return fail("--engine does not know '{}'; it takes auto, translate, step or lockstep", text);
}

std::string_view engine_name(EngineKind kind) {
  switch (kind) {
    case EngineKind::kStep:
      return "step";
    case EngineKind::kLockstep:
      return "lockstep";
    case EngineKind::kTranslate:
      break;
  }
  return "translate";
}

Result<EngineDecision> decide_engine(EngineChoice choice, bool kvm_device) {
  switch (choice) {
    case EngineChoice::kStep:
      return EngineDecision{.kind = EngineKind::kStep, .reason = "as asked for"};
    case EngineChoice::kTranslate:
      return EngineDecision{.kind = EngineKind::kTranslate, .reason = "as asked for"};
    case EngineChoice::kLockstep:
      return EngineDecision{.kind = EngineKind::kLockstep, .reason = "as asked for"};
    case EngineChoice::kAuto:
      break;
  }
  return EngineDecision{.kind = EngineKind::kTranslate,
                        .reason = kvm_device
                                      ? "there is a /dev/kvm, but the KVM engine is not in this version yet"
                                      : "there is no /dev/kvm"};
}

Result<std::unique_ptr<engine::Engine>> make_engine(EngineKind kind, cpu::Cpu& cpu,
                                                    const MachineConfig& config) {
  if (kind == EngineKind::kStep) return std::make_unique<engine::StepEngine>(cpu);
  if (kind == EngineKind::kLockstep) {
    auto engine = engine::LockstepEngine::create(cpu, {.begin_at_port = config.lockstep_from_port});
    if (!engine) return std::unexpected(engine.error());
    return std::move(*engine);
  }
  auto engine =
      engine::TranslateEngine::create(cpu, {.cache_bytes = cache_bytes(config.topology.processors()),
                                            .observer = config.block_observer,
                                            .sample_time = config.sample_time});
  if (!engine) return std::unexpected(engine.error());
  return std::move(*engine);
}

}  // namespace eidolon::machine
