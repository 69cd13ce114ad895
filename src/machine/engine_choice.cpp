#include "machine/engine_choice.h"

#include "engine/step/step_engine.h"

namespace eidolon::machine {

Result<EngineChoice> parse_engine_choice(std::string_view text) {
  if (text == "auto") return EngineChoice::kAuto;
  if (text == "translate") return EngineChoice::kTranslate;
  if (text == "step") return EngineChoice::kStep;
  return fail("--engine does not know '{}'; it takes auto, translate or step", text);
}

std::string_view engine_name(EngineKind kind) {
  return kind == EngineKind::kTranslate ? "translate" : "step";
}

Result<EngineDecision> decide_engine(EngineChoice choice, bool kvm_device) {
  switch (choice) {
    case EngineChoice::kStep:
      return EngineDecision{.kind = EngineKind::kStep, .reason = "as asked for"};
    case EngineChoice::kTranslate:
      return fail("--engine translate is not in this version yet; use --engine step");
    case EngineChoice::kAuto:
      break;
  }
  return EngineDecision{
      .kind = EngineKind::kStep,
      .reason =
          kvm_device
              ? "there is a /dev/kvm, but neither the KVM engine nor the translator is in this version yet"
              : "there is no /dev/kvm, and the translator is not in this version yet"};
}

Result<std::unique_ptr<engine::Engine>> make_engine(EngineKind /*kind*/, cpu::Cpu& cpu) {
  return std::make_unique<engine::StepEngine>(cpu);
}

}  // namespace eidolon::machine
