// The real-time clock and its battery-backed memory (Motorola MC146818A datasheet), at ports 0x70 and 0x71.
//
// The time is UTC, computed from the virtual clock when it is read. Interrupt flags are worked out from
// the time that has passed since they were last looked at; a host timer is armed only for an interrupt
// that is enabled, and not while one is already asserted.
#pragma once

#include <array>
#include <mutex>

#include "base/clock.h"
#include "device/device.h"
#include "memory/io_window.h"

namespace eidolon::device {

class Rtc final : public Device {
 public:
  static constexpr uint64_t kPort = 0x70;  ///< two ports, IRQ 8

  struct MemorySizes {
    uint64_t below_4g = 0;  ///< bytes of RAM that end below 4 GiB
    uint64_t above_4g = 0;
  };

  /// `utc` is the time now, in nanoseconds since 1970.
  Rtc(TimerQueue& timers, IrqLine& irq, Nanoseconds utc, const MemorySizes& memory);

  [[nodiscard]] memory::IoHandler& ports() { return window_; }
  /// Bit 7 of port 0x70: the board's NMI does not reach LINT1.
  [[nodiscard]] bool nmi_masked() const;

  /// What firmware leaves about the floppy drives: their types, 0 for none. While the machine is wired.
  void set_floppies(uint8_t first, uint8_t second);

  [[nodiscard]] std::string_view name() const override { return "rtc"; }
  /// A reset leaves time and memory alone: they have a battery.
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  uint8_t read(unsigned offset);
  void write(unsigned offset, uint8_t value);
  uint8_t read_register(unsigned index);
  void write_register(unsigned index, uint8_t value);
  void write_a(uint8_t value);
  void write_b(uint8_t value);
  void fill_memory(const MemorySizes& memory);
  void sum_memory();

  [[nodiscard]] Nanoseconds time() const { return timers_.clock().now() + offset_; }
  [[nodiscard]] bool stopped() const;
  [[nodiscard]] bool update_in_progress() const;
  void store_time();
  void take_time(Nanoseconds fraction);
  void transition(uint8_t a, uint8_t b);
  [[nodiscard]] uint8_t encode(int value) const;
  [[nodiscard]] int decode(uint8_t value) const;
  [[nodiscard]] uint8_t encode_hour(int hour) const;
  [[nodiscard]] int decode_hour(uint8_t value) const;

  [[nodiscard]] Nanoseconds period() const;
  [[nodiscard]] int64_t next_alarm(int64_t after_second) const;
  void collect();
  void update_irq();
  void expired();

  mutable std::mutex mutex_;  ///< before everything in interrupt/irq_line.h
  TimerQueue& timers_;
  IrqLine& irq_;
  Nanoseconds offset_ = 0;  ///< UTC less the virtual clock
  Nanoseconds seen_ = 0;    ///< the time up to which flags are collected
  uint8_t index_ = 0;
  uint8_t flags_ = 0;  ///< register C less IRQF
  std::array<uint8_t, 128> memory_{};
  memory::ByteWindow<Rtc, &Rtc::read, &Rtc::write> window_{*this};
  Timer timer_;
};

}  // namespace eidolon::device
