#include "interrupt/apic_timer.h"

#include <algorithm>
#include <utility>

namespace eidolon::interrupt {

namespace {
constexpr Nanoseconds kFarAway = Nanoseconds{1} << 60;
}

ApicTimer::ApicTimer(TimerQueue& queue, std::function<void()> expired)
    : queue_(queue), timer_(queue, std::move(expired)) {}

void ApicTimer::set_tsc(TscReference tsc) {
  tsc_ = std::move(tsc);
  if (tsc_.hz == 0) tsc_.hz = host_tsc_hz();
}

void ApicTimer::reset() {
  timer_.cancel();
  mode_ = Mode::kOneShot;
  masked_ = true;
  initial_ = 0;
  divide_ = 0;
  deadline_ = 0;
  over_ = false;
}

/// Divide configuration register: bits 3, 1, 0; 0b111 divides by one, 0b000 by two.
unsigned ApicTimer::divide_shift() const {
  const unsigned code = (divide_ & 3) | (divide_ >> 1 & 4);
  return (code + 1) & 7;
}

void ApicTimer::set_mode(Mode mode, bool masked) {
  if (masked_ && now() >= start_ + length()) over_ = true;
  const bool was_deadline = mode_ == Mode::kTscDeadline;
  const bool is_deadline = mode == Mode::kTscDeadline;
  if (was_deadline != is_deadline) {  // changing to or from TSC-deadline disarms
    initial_ = 0;
    deadline_ = 0;
  }
  mode_ = mode;
  masked_ = masked;
  arm();
}

void ApicTimer::write_initial_count(uint32_t count) {
  if (mode_ == Mode::kTscDeadline) return;
  initial_ = count;
  over_ = false;
  start_ = now();
  arm();
}

void ApicTimer::write_divide(uint32_t value) {
  const uint32_t left = current_count();
  divide_ = value & 0xb;
  start_ = now() - (Nanoseconds{initial_ - left} << divide_shift());
  arm();
}

uint32_t ApicTimer::current_count() const {
  if (initial_ == 0) return 0;
  Nanoseconds elapsed = std::max<Nanoseconds>(now() - start_, 0);
  if (elapsed >= length()) {
    if (mode_ != Mode::kPeriodic) return 0;
    elapsed %= length();
  }
  return initial_ - static_cast<uint32_t>(elapsed >> divide_shift());
}

bool ApicTimer::write_deadline(uint64_t tsc) {
  if (mode_ != Mode::kTscDeadline) return false;
  deadline_ = tsc;
  if (tsc == 0 || guest_tsc() < tsc) {
    arm();
    return false;
  }
  deadline_ = 0;
  timer_.cancel();
  return !masked_;
}

uint64_t ApicTimer::deadline() {
  if (masked_ && deadline_ != 0 && guest_tsc() >= deadline_) deadline_ = 0;
  return deadline_;
}

Nanoseconds ApicTimer::until_deadline() const {
  const uint64_t tsc = guest_tsc();
  if (tsc >= deadline_) return 0;
  const auto ns = static_cast<unsigned __int128>(deadline_ - tsc) * 1'000'000'000 / tsc_.hz;
  return ns > kFarAway ? kFarAway : static_cast<Nanoseconds>(ns) + 1;
}

void ApicTimer::arm() {
  if (masked_) {
    timer_.cancel();
    return;
  }
  const Nanoseconds time = now();
  if (mode_ == Mode::kTscDeadline) {
    if (deadline_ == 0) {
      timer_.cancel();
    } else {
      timer_.arm(time + until_deadline());
    }
    return;
  }
  Nanoseconds due = start_ + length();
  if (due <= time && mode_ == Mode::kPeriodic && initial_ != 0)
    due += (time - due) / length() * length() + length();
  // One that is due already, as a short one may be by now, fires at once.
  if (initial_ == 0 || (mode_ != Mode::kPeriodic && over_)) {
    timer_.cancel();
  } else {
    timer_.arm(mode_ == Mode::kPeriodic ? std::max(due, time + std::min(length(), kShortestPeriod)) : due);
  }
}

bool ApicTimer::expire() {
  if (masked_) return false;
  // A callback that was on its way when the timer was set anew comes too early: wait on.
  if (mode_ == Mode::kTscDeadline) {
    if (deadline_ == 0) return false;
    if (guest_tsc() < deadline_) {
      arm();
      return false;
    }
    deadline_ = 0;
    return true;
  }
  if (initial_ == 0 || now() < start_ + length()) return false;
  if (mode_ != Mode::kPeriodic && std::exchange(over_, true)) return false;
  if (mode_ == Mode::kPeriodic) {
    const Nanoseconds time = now();
    start_ += (time - start_) / length() * length();
    timer_.arm(std::max(start_ + length(), time + kShortestPeriod));
  }
  return true;
}

void ApicTimer::go_on(const Count& count) {
  timer_.cancel();
  mode_ = count.mode;
  masked_ = count.masked;
  initial_ = count.initial;
  divide_ = count.divide & 0xb;
  start_ = now() - (Nanoseconds{initial_ - std::min(count.current, initial_)} << divide_shift());
  deadline_ = mode_ == Mode::kTscDeadline ? count.deadline : 0;
  over_ = false;
  arm();
}

void ApicTimer::resume() {
  if (mode_ > Mode::kReserved) mode_ = Mode::kReserved;
  divide_ &= 0xb;
  start_ = std::clamp<Nanoseconds>(start_, -kFarAway, kFarAway);
  if (start_ > now()) start_ = now();
  over_ = now() >= start_ + length();  // what was due was done before it was saved
  arm();
}

}  // namespace eidolon::interrupt
