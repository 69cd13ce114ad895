// What every device test stands on: a clock that is moved by hand, wires that record, a machine that notes
// what it was asked to do.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "base/clock.h"
#include "device/machine_control.h"
#include "interrupt/irq_line.h"

namespace eidolon::device {

class RecordingLine final : public interrupt::IrqLine {
 public:
  void set(bool level) override {
    if (level && !level_) ++rises;
    level_ = level;
  }
  [[nodiscard]] bool level() const { return level_; }
  unsigned rises = 0;

 private:
  bool level_ = false;
};

class RecordingMachine final : public MachineControl {
 public:
  void power_off() override { ++power_offs; }
  void reset() override { ++resets; }
  void debug_exit(uint32_t value) override { exit_value = value; }
  unsigned power_offs = 0;
  unsigned resets = 0;
  std::optional<uint32_t> exit_value;
};

class DeviceTest : public ::testing::Test {
 protected:
  /// Moves the clock in steps no longer than `step`, and runs what is due after each.
  void advance(Nanoseconds by, Nanoseconds step = INT64_MAX) {
    while (by > 0) {
      const Nanoseconds part = by < step ? by : step;
      clock.advance(part);
      timers.run_due();
      by -= part;
    }
  }

  ManualClock clock;
  TimerQueue timers{clock};
  RecordingLine irq;
  RecordingMachine machine;
};

}  // namespace eidolon::device
