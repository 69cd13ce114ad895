// The comparators: when they match, and what they interrupt.
#include <algorithm>

#include "base/bits.h"
#include "device/chipset/hpet.h"
#include "device/chipset/hpet_registers.h"

namespace eidolon::device {

using namespace hpet;

namespace {
/// Beyond this a match is not waited for: 30 years.
constexpr uint64_t kFarTicks = uint64_t{1} << 56;
}  // namespace

/// The line of comparator `n`; null if it is routed to a pin that it does not reach.
IrqLine* Hpet::line_of(unsigned n) const {
  if (legacy() && n < wiring_.legacy.size()) return wiring_.legacy[n];
  const uint64_t pin = bits(comparators_[n].config, 13, 9) - kFirstPin;
  return pin < kPins ? wiring_.pins[pin] : nullptr;
}

void Hpet::drop_lines() {
  for (IrqLine* line : wiring_.legacy)
    if (line != nullptr) line->set(false);
  for (IrqLine* line : wiring_.pins)
    if (line != nullptr) line->set(false);
}

void Hpet::write_status(uint64_t value) {
  for (unsigned n = 0; n < kTimers; ++n) {
    if (!bit(value & status_, n)) continue;
    status_ &= ~(uint64_t{1} << n);
    if (IrqLine* line = line_of(n)) line->set(false);
  }
}

void Hpet::write_timer_config(unsigned n, uint64_t value) {
  Comparator& comparator = comparators_[n];
  const uint64_t changed = comparator.config ^ value;
  if ((changed & (kLevel | kInterrupt | uint64_t{0x1f} << kRouteShift)) != 0) {
    if (IrqLine* line = line_of(n)) line->set(false);
    status_ &= ~(uint64_t{1} << n);
  }
  comparator.config = value;
  if ((value & k32Bit) != 0) {
    comparator.value &= mask_below(32);
    comparator.period &= mask_below(32);
  }
  arm(n, 0);
}

/// Periodic: a write sets the period, and with VAL_SET also the next match (2.3.9.2.2).
void Hpet::write_comparator(unsigned n, uint64_t value, uint64_t lane) {
  Comparator& comparator = comparators_[n];
  const uint64_t width = (comparator.config & k32Bit) != 0 ? mask_below(32) : ~uint64_t{0};
  const auto merge = [&](uint64_t& field) { field = ((field & ~lane) | (value & lane)) & width; };
  const bool periodic = (comparator.config & kPeriodic) != 0;
  if (!periodic || (comparator.config & kSetValue) != 0) merge(comparator.value);
  if (periodic) merge(comparator.period);
  // A 64-bit value may come in two halves: VAL_SET holds for both.
  if (width == mask_below(32) || (lane >> 32) != 0) comparator.config &= ~kSetValue;
  arm(n, 0);
}

void Hpet::arm(unsigned n, Nanoseconds not_before) {
  Comparator& comparator = comparators_[n];
  if (!running() || (comparator.config & kInterrupt) == 0) {
    comparator.due = -1;
    host_timers_[n]->cancel();
    return;
  }
  const uint64_t width = (comparator.config & k32Bit) != 0 ? mask_below(32) : ~uint64_t{0};
  const uint64_t ticks = (comparator.value - counter()) & width;
  if (ticks > kFarTicks) {  // passed: the counter has to come round
    comparator.due = -1;
    host_timers_[n]->cancel();
    return;
  }
  const Nanoseconds time = timers_.clock().now();
  comparator.due = std::max(time + static_cast<Nanoseconds>(ticks) * kTick, not_before);
  host_timers_[n]->arm(comparator.due);
}

void Hpet::arm_all() {
  for (unsigned n = 0; n < kTimers; ++n) arm(n, 0);
}

/// After a load. A match that was put off (kShortestPeriod) has passed by the counter, and is still due.
void Hpet::resume_all() {
  const Nanoseconds time = timers_.clock().now();
  for (unsigned n = 0; n < kTimers; ++n) {
    Comparator& comparator = comparators_[n];
    const Nanoseconds due = comparator.due;
    arm(n, 0);
    const bool put_off =
        due >= 0 && due <= time + kShortestPeriod && (comparator.due < 0 || comparator.due > due);
    if (!running() || (comparator.config & kInterrupt) == 0 || !put_off) continue;
    comparator.due = std::max(due, time);
    host_timers_[n]->arm(comparator.due);
  }
}

void Hpet::expired(unsigned n) {
  std::lock_guard lock(mutex_);
  Comparator& comparator = comparators_[n];
  const Nanoseconds time = timers_.clock().now();
  if (comparator.due < 0 || time < comparator.due) return;  // set anew meanwhile
  comparator.due = -1;
  IrqLine* line = line_of(n);
  if ((comparator.config & kLevel) != 0) {
    status_ |= uint64_t{1} << n;
    if (line != nullptr) line->set(true);
  } else if (line != nullptr) {
    // An edge: the line stays up until the next, for the 8259 wants to see it when it is acknowledged.
    line->set(false);
    line->set(true);
  }
  if ((comparator.config & kPeriodic) == 0 || comparator.period == 0) {
    // A 32-bit counter comes round in 43 s and matches again. Should the clock still stand at the match,
    // that match does not count twice.
    if ((comparator.config & k32Bit) != 0) {
      const uint64_t ticks = (comparator.value - counter()) & mask_below(32);
      comparator.due = time + static_cast<Nanoseconds>(ticks == 0 ? uint64_t{1} << 32 : ticks) * kTick;
      host_timers_[n]->arm(comparator.due);
    }
    return;
  }
  const uint64_t width = (comparator.config & k32Bit) != 0 ? mask_below(32) : ~uint64_t{0};
  const uint64_t behind = (counter() - comparator.value) & width;
  comparator.value = (comparator.value + (behind / comparator.period + 1) * comparator.period) & width;
  arm(n, time + kShortestPeriod);
}

}  // namespace eidolon::device
