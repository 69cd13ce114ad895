#include "engine/lockstep/lockstep_engine.h"

#include <fmt/format.h>

#include "base/try.h"
#include "engine/lockstep/compare.h"
#include "engine/lockstep/recorder.h"
#include "engine/lockstep/report.h"
#include "engine/lockstep/shadow.h"
#include "engine/translate/translate_engine.h"

namespace eidolon::engine {

using namespace lockstep;

class LockstepEngine::Impl {
 public:
  Impl(cpu::Cpu& cpu, std::unique_ptr<TranslateEngine> translate, Options options)
      : cpu_(cpu), translate_(std::move(translate)), options_(std::move(options)) {}

  Stop run() {
    if (!disagreement_.empty()) return Stop::kDisagreement;
    if (shadow_ == nullptr) {
      // Only now: whoever made the engine may have changed the processor's state and memory since.
      auto shadow = Shadow::create(cpu_, tape_);
      if (!shadow) {
        disagreement_ = shadow.error().message;
        return Stop::kDisagreement;
      }
      shadow_ = std::move(*shadow);
      recorder_.emplace(cpu_, tape_);
    }
    translate_->prepare_thread();
    for (;;) {
      const uint64_t flags_before = cpu_.state.rflags;
      const uint64_t rip_before = cpu_.state.rip;
      const translate::Round round = translate_->run_round();
      ++rounds_;
      auto difference = shadow_->follow(round, flags_before, cpu_.state);
      if (options_.disturb) options_.disturb(rounds_, shadow_->cpu().state);
      if (!difference) difference = compare(round);
      if (difference) [[unlikely]] {
        disagreement_ = fmt::format(
            "translate and step disagree after round {} ({} instructions), which began at "
            "{:#x}:\n{}{}",
            rounds_, shadow_->instructions(), rip_before, *difference, describe_code(round, shadow_->cpu()));
        return Stop::kDisagreement;
      }
      tape_.clear();
      if (round.stop) return *round.stop;
    }
  }

  bool check_all() {
    if (!disagreement_.empty()) return false;
    if (shadow_ == nullptr) return true;
    auto difference = compare_extended(cpu_.state.fpu, shadow_->cpu().state.fpu, cpu_.model.supported_xcr0());
    if (!difference) difference = compare_memories(cpu_.memory, shadow_->memory());
    if (difference) disagreement_ = "translate and step disagree in the end:\n" + *difference;
    return disagreement_.empty();
  }

  [[nodiscard]] std::string report() const {
    if (!disagreement_.empty()) return disagreement_;
    return fmt::format("lockstep: {} rounds and {} instructions agreed\n{}", rounds_, instructions(),
                       translate_->report());
  }
  [[nodiscard]] uint64_t rounds() const { return rounds_; }
  [[nodiscard]] uint64_t instructions() const { return shadow_ == nullptr ? 0 : shadow_->instructions(); }

 private:
  [[nodiscard]] std::optional<std::string> compare(const translate::Round& round) {
    const cpu::State& step = shadow_->cpu().state;
    if (tape_.parted()) return "  " + *tape_.parted() + "\n";
    if (!tape_.finished()) return fmt::format("  only translate did: {}\n", describe(tape_.left_over()));
    const uint64_t flags = round.completed ? round.flags_exact : round.flags_exact_after;
    if (auto difference = compare_states(cpu_.state, step, flags)) return difference;
    if (rounds_ % options_.rounds_per_extended_check == 0) {
      auto difference = compare_extended(cpu_.state.fpu, step.fpu, cpu_.model.supported_xcr0());
      if (difference) return difference;
    }
    if (rounds_ % options_.rounds_per_memory_check == 0)
      return compare_memories(cpu_.memory, shadow_->memory());
    return std::nullopt;
  }

  cpu::Cpu& cpu_;
  Tape tape_;
  const std::unique_ptr<TranslateEngine> translate_;
  const Options options_;
  std::unique_ptr<Shadow> shadow_;
  std::optional<Recorder> recorder_;
  uint64_t rounds_ = 0;
  std::string disagreement_;
};

Result<std::unique_ptr<LockstepEngine>> LockstepEngine::create(cpu::Cpu& cpu, Options options) {
  std::unique_ptr<TranslateEngine> translate = EIDOLON_TRY(TranslateEngine::create(cpu));
  return std::unique_ptr<LockstepEngine>(
      new LockstepEngine(std::make_unique<Impl>(cpu, std::move(translate), std::move(options))));
}

LockstepEngine::LockstepEngine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LockstepEngine::~LockstepEngine() = default;
Stop LockstepEngine::run() { return impl_->run(); }
std::string LockstepEngine::report() const { return impl_->report(); }
bool LockstepEngine::check_all() { return impl_->check_all(); }
uint64_t LockstepEngine::rounds() const { return impl_->rounds(); }
uint64_t LockstepEngine::instructions() const { return impl_->instructions(); }

}  // namespace eidolon::engine
