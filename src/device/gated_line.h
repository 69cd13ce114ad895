// A wire with a switch in it: HPET's legacy replacement takes IRQ 0 and IRQ 8 away from the 8254 and the
// RTC (IA-PC HPET specification 1.0a, 2.3.5 LEG_RT_CNF).
#pragma once

#include <mutex>

#include "interrupt/irq_line.h"

namespace eidolon::device {

class GatedLine final : public interrupt::IrqLine {
 public:
  explicit GatedLine(interrupt::IrqLine& target) : target_(target) {}

  void set(bool level) override {
    std::lock_guard lock(mutex_);
    level_ = level;
    target_.set(level_ && open_);
  }
  void set_open(bool open) {
    std::lock_guard lock(mutex_);
    open_ = open;
    target_.set(level_ && open_);
  }
  /// What is before the switch.
  [[nodiscard]] bool level() const {
    std::lock_guard lock(mutex_);
    return level_;
  }

 private:
  mutable std::mutex mutex_;  ///< after the device's, before everything in interrupt/irq_line.h
  interrupt::IrqLine& target_;
  bool level_ = false;
  bool open_ = true;
};

}  // namespace eidolon::device
