// The high-precision event timer (IA-PC HPET specification 1.0a): a 100 MHz counter of 64 bits, three
// comparators, legacy replacement, no FSB interrupts.
//
// The counter is computed from the clock when it is read. A comparator's host timer is armed only while its
// interrupt is enabled and the counter runs, and fires no more often than every kShortestPeriod.
#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "base/clock.h"
#include "device/device.h"
#include "device/gated_line.h"

namespace eidolon::device {

class Hpet final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kAddress = 0xfed00000;
  static constexpr uint64_t kLength = 0x400;
  static constexpr unsigned kTimers = 3;
  static constexpr Nanoseconds kTick = 10;
  static constexpr Nanoseconds kShortestPeriod = 50'000;
  /// The first of the I/O APIC pins that a comparator can be routed to: four, 20 to 23.
  static constexpr unsigned kFirstPin = 20;
  static constexpr unsigned kPins = 4;
  /// What the ACPI HPET table calls the event timer block ID.
  static constexpr uint32_t kBlockId = 0x8086a201;

  struct Wiring {
    std::array<IrqLine*, 2> legacy;   ///< the comparators' own sources on ISA interrupts 0 and 8
    std::array<GatedLine*, 2> gates;  ///< between the 8254 and IRQ 0, and between the RTC and IRQ 8
    std::array<IrqLine*, kPins> pins;
  };

  Hpet(TimerQueue& timers, const Wiring& wiring);

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return "hpet"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  struct Comparator {
    uint64_t config = 0;
    uint64_t value = ~uint64_t{0};
    uint64_t period = 0;
    Nanoseconds due = -1;  ///< when the host timer is to fire; -1: not armed
  };

  [[nodiscard]] bool running() const;
  [[nodiscard]] bool legacy() const;
  [[nodiscard]] uint64_t counter() const;
  [[nodiscard]] uint64_t read_register(uint64_t offset) const;
  void write_register(uint64_t offset, uint64_t value, uint64_t lane);
  void write_config(uint64_t value);
  void write_status(uint64_t value);
  void write_timer_config(unsigned n, uint64_t value);
  void write_comparator(unsigned n, uint64_t value, uint64_t lane);
  [[nodiscard]] IrqLine* line_of(unsigned n) const;
  void drop_lines();
  void arm(unsigned n, Nanoseconds not_before);
  void arm_all();
  void resume_all();
  void expired(unsigned n);

  mutable std::mutex mutex_;  ///< before GatedLine's and everything in interrupt/irq_line.h
  TimerQueue& timers_;
  const Wiring wiring_;
  uint64_t config_ = 0;
  uint64_t status_ = 0;
  uint64_t base_ = 0;      ///< the counter's value at start_, or while it stands still
  Nanoseconds start_ = 0;  ///< when the counter was last enabled
  std::array<Comparator, kTimers> comparators_;
  std::array<std::unique_ptr<Timer>, kTimers> host_timers_;
};

}  // namespace eidolon::device
