// Seconds since 1970 and the date in the Gregorian calendar, both ways, for the years 0 to 9999.
#pragma once

#include <chrono>
#include <cstdint>

namespace eidolon::device {

struct CalendarTime {
  int year, month, day;      ///< month and day from 1
  int hour, minute, second;  ///< 24 hours
  int weekday;               ///< Sunday is 1, as the MC146818 counts
};

[[nodiscard]] inline CalendarTime to_calendar(int64_t unix_seconds) {
  using namespace std::chrono;
  const sys_seconds time{seconds{unix_seconds}};
  const auto date = floor<days>(time);
  const year_month_day ymd{date};
  const hh_mm_ss clock{time - date};
  return {.year = static_cast<int>(ymd.year()),
          .month = static_cast<int>(static_cast<unsigned>(ymd.month())),
          .day = static_cast<int>(static_cast<unsigned>(ymd.day())),
          .hour = static_cast<int>(clock.hours().count()),
          .minute = static_cast<int>(clock.minutes().count()),
          .second = static_cast<int>(clock.seconds().count()),
          .weekday = static_cast<int>(weekday{date}.c_encoding()) + 1};
}

/// Fields out of their range carry over, as the 35th of a month does.
[[nodiscard]] inline int64_t from_calendar(const CalendarTime& t) {
  using namespace std::chrono;
  const int months = t.month - 1;
  const auto first = year{t.year + months / 12} / month{static_cast<unsigned>(months % 12 + 1)} / 1;
  const auto date = sys_days{first} + days{t.day - 1};
  return duration_cast<seconds>(date.time_since_epoch()).count() + t.hour * 3600LL + t.minute * 60LL +
         t.second;
}

}  // namespace eidolon::device
