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

namespace {

/// Stops the processor at the first write to a port.
class PortWatch final : public memory::IoObserver {
 public:
  PortWatch(cpu::Cpu& cpu, uint16_t port) : cpu_(cpu), port_(port) { cpu_.ports.set_observer(this); }
  ~PortWatch() override { cpu_.ports.set_observer(nullptr); }
  PortWatch(const PortWatch&) = delete;
  PortWatch& operator=(const PortWatch&) = delete;

  void after_read(uint64_t, unsigned, uint64_t) override {}
  void before_write(uint64_t address, unsigned, uint64_t) override {
    if (address != port_ || seen_) return;
    seen_ = true;
    cpu_.events.raise(cpu::kEventStop);
  }
  [[nodiscard]] bool seen() const { return seen_; }

 private:
  cpu::Cpu& cpu_;
  const uint16_t port_;
  bool seen_ = false;
};

}  // namespace

class LockstepEngine::Impl {
 public:
  Impl(cpu::Cpu& cpu, std::unique_ptr<TranslateEngine> translate, Options options)
      : cpu_(cpu), translate_(std::move(translate)), options_(std::move(options)) {}

  Stop run() {
    if (!disagreement_.empty()) return Stop::kDisagreement;
    if (options_.begin_at_port) return run_alone(*options_.begin_at_port);
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
  /// Up to the first write to `port`; from then on in lockstep. That takes a fresh translator: this one has
  /// linked its blocks. The caller runs the engine again, as after any stop: it may have asked for this one.
  Stop run_alone(uint16_t port) {
    const PortWatch watch(cpu_, port);
    const Stop stop = translate_->run();
    if (!watch.seen()) return stop;
    options_.begin_at_port.reset();
    translate_.reset();
    auto fresh = TranslateEngine::create(cpu_);
    if (fresh) {
      translate_ = std::move(*fresh);
      return stop;
    }
    disagreement_ = fresh.error().message;
    return Stop::kDisagreement;
  }

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
  std::unique_ptr<TranslateEngine> translate_;
  Options options_;
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
