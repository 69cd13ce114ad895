// Registers and bits of the MC146818A, and where PCs keep the century.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace eidolon::device::rtc {

enum Register : unsigned {
  kSeconds = 0x00,
  kSecondsAlarm = 0x01,
  kMinutes = 0x02,
  kMinutesAlarm = 0x03,
  kHours = 0x04,
  kHoursAlarm = 0x05,
  kWeekday = 0x06,
  kDay = 0x07,
  kMonth = 0x08,
  kYear = 0x09,
  kRegisterA = 0x0a,
  kRegisterB = 0x0b,
  kRegisterC = 0x0c,
  kRegisterD = 0x0d,
  kCentury = 0x32,
};

[[nodiscard]] constexpr bool is_time(unsigned index) {
  const bool alarm = index == kSecondsAlarm || index == kMinutesAlarm || index == kHoursAlarm;
  return (index <= kYear && !alarm) || index == kCentury;
}

inline constexpr uint8_t kAUpdating = 0x80;
inline constexpr uint8_t kADivider = 0x70;
inline constexpr uint8_t kARate = 0x0f;
inline constexpr uint8_t kDividerNormal = 0x20;
[[nodiscard]] constexpr bool divider_reset(uint8_t a) { return (a & 0x60) == 0x60; }

inline constexpr uint8_t kBSet = 0x80;
inline constexpr uint8_t kBPeriodicInterrupt = 0x40;
inline constexpr uint8_t kBAlarmInterrupt = 0x20;
inline constexpr uint8_t kBUpdateInterrupt = 0x10;
inline constexpr uint8_t kBInterrupts = 0x70;  ///< also the flags of register C, bit for bit
inline constexpr uint8_t kBSquareWave = 0x08;
inline constexpr uint8_t kBBinary = 0x04;
inline constexpr uint8_t kB24Hour = 0x02;

inline constexpr uint8_t kCRequest = 0x80;
inline constexpr uint8_t kDValid = 0x80;
inline constexpr uint8_t kAfternoon = 0x80;
inline constexpr uint8_t kAlarmAny = 0xc0;  ///< this and above in an alarm byte: matches every value

inline constexpr Nanoseconds kSecond = 1'000'000'000;
/// UIP is set from 244 us before an update until its end, 1984 us later.
inline constexpr Nanoseconds kUpdateWindow = 2'228'000;
inline constexpr Nanoseconds kLatestTime = 9'180'000'000 * kSecond;

}  // namespace eidolon::device::rtc
