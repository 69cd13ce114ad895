// An interrupt wire that a device's threads set and the test watches.
#pragma once

#include <atomic>

#include "interrupt/irq_line.h"

namespace eidolon::device::storage {

class ThreadedLine final : public interrupt::IrqLine {
 public:
  void set(bool now) override { level = now; }
  std::atomic<bool> level{false};
};

}  // namespace eidolon::device::storage
