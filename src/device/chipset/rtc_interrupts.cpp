// The three interrupts of the RTC: periodic, alarm, and update-ended.
#include <algorithm>

#include "device/chipset/rtc.h"
#include "device/chipset/rtc_registers.h"

namespace eidolon::device {

using namespace rtc;

namespace {
constexpr int64_t kSecondsPerDay = 86'400;
constexpr Nanoseconds kNever = INT64_MAX;
}  // namespace

/// The periodic interrupt's period; 0 if there is none (datasheet, table 5, 32.768 kHz time base).
Nanoseconds Rtc::period() const {
  const uint8_t a = memory_[kRegisterA];
  unsigned rate = a & kARate;
  if (rate == 0 || divider_reset(a)) return 0;
  if (rate < 3) rate += 7;
  return (kSecond << (rate - 1)) / 32'768;
}

/// The first second after `after_second` (UTC) whose time of day matches the alarm registers; kNever if none.
int64_t Rtc::next_alarm(int64_t after_second) const {
  const uint8_t second = memory_[kSecondsAlarm];
  const uint8_t minute = memory_[kMinutesAlarm];
  const uint8_t hour = memory_[kHoursAlarm];
  const auto matches = [](uint8_t alarm, int wanted, int value) {
    return (alarm & kAlarmAny) == kAlarmAny || wanted == value;
  };
  const int64_t first = after_second + 1;
  const int64_t midnight = first / kSecondsPerDay * kSecondsPerDay;
  for (int64_t day = midnight; day <= midnight + kSecondsPerDay; day += kSecondsPerDay)
    for (int h = 0; h < 24; ++h) {
      if (!matches(hour, decode_hour(hour), h) || day + h * 3600 + 3599 < first) continue;
      for (int m = 0; m < 60; ++m) {
        if (!matches(minute, decode(minute), m) || day + h * 3600 + m * 60 + 59 < first) continue;
        for (int s = 0; s < 60; ++s)
          if (matches(second, decode(second), s) && day + h * 3600 + m * 60 + s >= first)
            return day + h * 3600 + m * 60 + s;
      }
    }
  return kNever;
}

/// Sets the flags of what has happened since the last look.
void Rtc::collect() {
  const Nanoseconds now = time();
  const Nanoseconds before = std::min(seen_, now);
  seen_ = now;
  const Nanoseconds each = period();
  if (each != 0 && now / each != before / each) flags_ |= kBPeriodicInterrupt;
  if (stopped() || now / kSecond == before / kSecond) return;
  flags_ |= kBUpdateInterrupt;
  if ((flags_ & kBAlarmInterrupt) == 0 && next_alarm(before / kSecond) <= now / kSecond)
    flags_ |= kBAlarmInterrupt;
}

/// Brings the line and the host timer up to date with the flags.
void Rtc::update_irq() {
  const uint8_t enabled = memory_[kRegisterB] & kBInterrupts;
  const bool asserted = (flags_ & enabled) != 0;
  irq_.set(asserted);
  // Asserted, it stays so until register C is read: nothing to wait for.
  Nanoseconds due = kNever;
  if (!asserted && (enabled & kBPeriodicInterrupt) != 0 && period() != 0)
    due = (seen_ / period() + 1) * period();
  if (!asserted && (enabled & kBUpdateInterrupt) != 0 && !stopped())
    due = std::min(due, (seen_ / kSecond + 1) * kSecond);
  if (!asserted && (enabled & kBAlarmInterrupt) != 0 && !stopped()) {
    const int64_t alarm = next_alarm(seen_ / kSecond);
    if (alarm != kNever) due = std::min(due, alarm * kSecond);
  }
  if (due == kNever) {
    timer_.cancel();
  } else {
    timer_.arm(due - offset_);
  }
}

void Rtc::expired() {
  std::lock_guard lock(mutex_);
  collect();
  update_irq();
}

}  // namespace eidolon::device
