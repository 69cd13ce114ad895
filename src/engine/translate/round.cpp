// One block at a time: what run() does, cut up so that lockstep can look at the state in between. A round
// that left generated code leaves it for good: no jump is linked, no return is predicted and the jump cache
// stays empty, so every block ends here.
#include "engine/events.h"
#include "engine/translate/impl.h"

namespace eidolon::engine {

using namespace translate;

Round TranslateEngine::Impl::run_round() {
  Round round;
  if (builder_.predicts_returns()) {
    builder_.stop_predicting();
    flush();
  }
  recall_deferred();
  bool step = false;
  if (needs_service(cpu_)) {
    round.serviced = true;
    round.stop = service_events(cpu_);
    if (round.stop) return round;
    defer_undeliverable();
    step = cpu_.events.pending() != 0;
  }
  const Block* block = step ? nullptr : find_block();
  if (block != nullptr) {
    round.ran_block = true;
    round.begin = block->rip;
    round.length = block->length;
    // SAFETY: the bytes of the block's code, which stay until a flush in a later round.
    round.host_code = {reinterpret_cast<const uint8_t*>(cache_->executable(block->begin)),
                       block->end - block->begin};
    round_ = &round;
    enter(cache_->executable(block->entry(Entry::kBody)));
    round_ = nullptr;
    round.rflags_left = cpu_.state.rflags;
  } else {
    round.stepped = true;
  }
  if (round.stepped) {
    round.stepped_at = cpu_.state.rip;
    step_.step();
  }
  return round;
}

uint64_t TranslateEngine::Impl::end_round(const Site& site) {
  round_->left_at = site.block->rip + site.guest_offset;
  round_->completed = site.kind == SiteKind::kJump && !site.unshared;
  round_->flags_exact = (round_->completed ? site.live_out : site.live_in).rflags();
  round_->flags_exact_after = site.live_out.rflags();
  if (site.kind == SiteKind::kIndirect) round_->flags_exact = round_->flags_exact_after = kArithmetic;
  round_->stepped = !round_->completed;
  return 0;
}

uint64_t TranslateEngine::Impl::end_round(const FaultPoint& point) {
  round_->left_at = point.block->rip + point.guest_offset;
  round_->flags_exact = point.live_in.rflags();
  round_->flags_exact_after = point.live_out.rflags();
  round_->stepped = true;
  return 0;
}

}  // namespace eidolon::engine
