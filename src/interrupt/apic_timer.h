// The local APIC's timer (SDM volume 3, 11.5.4): one-shot, periodic and TSC-deadline.
//
// It counts at 1 GHz, so a tick before the divider is one virtual nanosecond. The count is computed when
// it is read; a host timer is armed only while an interrupt is wanted. All members are called with the
// local APIC's lock held.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "interrupt/tsc_reference.h"

namespace eidolon::interrupt {

class ApicTimer {
 public:
  enum class Mode : uint8_t { kOneShot = 0, kPeriodic = 1, kTscDeadline = 2, kReserved = 3 };

  /// Interrupts of a periodic timer come at most this often; ticks in between are merged.
  static constexpr Nanoseconds kShortestPeriod = 50'000;

  /// `expired` runs on the timer thread without any lock; it takes the APIC's and calls expire().
  ApicTimer(TimerQueue& queue, std::function<void()> expired);

  void set_tsc(TscReference tsc);
  void reset();

  void set_mode(Mode mode, bool masked);
  void write_initial_count(uint32_t count);
  void write_divide(uint32_t value);
  /// True if the deadline has already passed and an interrupt is due now.
  [[nodiscard]] bool write_deadline(uint64_t tsc);

  [[nodiscard]] uint32_t initial_count() const { return initial_; }
  [[nodiscard]] uint32_t current_count() const;
  [[nodiscard]] uint32_t divide() const { return divide_; }
  [[nodiscard]] uint64_t deadline();

  /// The host timer has run out: arms the next period. True if an interrupt is due.
  [[nodiscard]] bool expire();
  /// The guest's TSC was set, `offset` from the reference: the deadline is elsewhere now.
  void tsc_changed(uint64_t offset) {
    tsc_offset_ = offset;
    arm();
  }
  void cancel() { timer_.cancel(); }
  /// Goes on from there. A one-shot count that is over fires once more: whoever counted does not say whether
  /// its interrupt has been taken.
  struct Count {
    Mode mode;
    bool masked;
    uint32_t initial, current, divide;
    uint64_t deadline;
  };
  void go_on(const Count& count);

  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s) {
    s(self.mode_, self.masked_, self.initial_, self.divide_, self.start_, self.deadline_);
  }
  /// Brings loaded values into their ranges and arms the host timer.
  void resume();

 private:
  [[nodiscard]] Nanoseconds now() const { return queue_.clock().now(); }
  [[nodiscard]] unsigned divide_shift() const;
  [[nodiscard]] Nanoseconds length() const { return Nanoseconds{initial_} << divide_shift(); }
  [[nodiscard]] uint64_t guest_tsc() const { return tsc_.now() + tsc_offset_; }
  [[nodiscard]] Nanoseconds until_deadline() const;
  void arm();

  TimerQueue& queue_;
  TscReference tsc_;
  /// A copy of the processor's, which changes it while the timer thread reads. Not part of the saved state:
  /// whoever loads a processor's state says it anew.
  uint64_t tsc_offset_ = 0;
  Mode mode_ = Mode::kOneShot;
  bool masked_ = true;
  uint32_t initial_ = 0;  ///< 0: stopped
  uint32_t divide_ = 0;
  bool over_ = false;      ///< one-shot: the count has run out, and told so or while masked
  Nanoseconds start_ = 0;  ///< when the count began, or a periodic timer was last re-armed
  uint64_t deadline_ = 0;  ///< guest TSC, 0: none
  Timer timer_;
};

}  // namespace eidolon::interrupt
