#include "device/net/e1000_interrupts.h"

namespace eidolon::device::net::e1000 {

namespace {
constexpr uint32_t kAllCauses = 0x0001f6df;
constexpr uint32_t kIntervalBits = 0xffff;
constexpr Nanoseconds kUnit = 256;
}  // namespace

Interrupts::Interrupts(TimerQueue& timers, std::mutex& mutex, std::function<void(bool)> wire)
    : clock_(timers.clock()), wire_(std::move(wire)), timer_(timers, [this, &mutex] {
        const std::lock_guard lock(mutex);
        update();
      }) {}

void Interrupts::reset() {
  causes_ = mask_ = interval_ = 0;
  next_ = 0;
  update();
}

void Interrupts::update() {
  const bool wanted = (causes_ & mask_) != 0;
  if (wanted && !level_ && interval_ != 0) {
    const Nanoseconds now = clock_.now();
    if (now < next_) return timer_.arm(next_);
    next_ = now + interval_ * kUnit;
  }
  level_ = wanted;
  wire_(level_);
}

void Interrupts::raise(uint32_t causes) {
  causes_ |= causes & kAllCauses;
  update();
}

uint32_t Interrupts::take_causes() {
  const uint32_t causes = causes_;
  clear_causes(causes);
  return causes;
}

void Interrupts::clear_causes(uint32_t causes) {
  causes_ &= ~causes;
  update();
}

void Interrupts::set_mask(uint32_t causes) {
  mask_ |= causes & kAllCauses;
  update();
}

void Interrupts::clear_mask(uint32_t causes) {
  mask_ &= ~causes;
  update();
}

void Interrupts::set_interval(uint32_t value) {
  interval_ = value & kIntervalBits;
  next_ = 0;
  update();
}

void Interrupts::load(StateReader& from) {
  from(causes_, mask_, interval_);
  causes_ &= kAllCauses;
  mask_ &= kAllCauses;
  interval_ &= kIntervalBits;
  next_ = 0;
}

}  // namespace eidolon::device::net::e1000
