// The fixed ACPI hardware (ACPI 6.5, chapter 4): PM1a events and control, and the power-management timer.
//
//   +0 PM1_STS (16 bits)   +2 PM1_EN   +4 PM1_CNT   +8 PM_TMR (32 bits)
//
// The machine is always in ACPI mode (FADT: SMI_CMD is 0), so SCI_EN reads as one.
#pragma once

#include <mutex>

#include "base/clock.h"
#include "device/device.h"
#include "device/machine_control.h"

namespace eidolon::device {

class AcpiPm final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kPort = 0x600;
  static constexpr uint64_t kPorts = 16;
  static constexpr uint16_t kTimerOffset = 8;
  static constexpr int64_t kTimerHz = 3'579'545;
  static constexpr uint8_t kSleepTypeS5 = 5;  ///< what \_S5 of the DSDT must say
  /// OVMF asks no DSDT: it says what QEMU's chipset takes. No system sleeps in S0, which has the number
  /// elsewhere.
  static constexpr uint8_t kSleepTypeOvmf = 0;
  static constexpr unsigned kSciIrq = 9;  ///< level-triggered

  /// `timer_bits` is 24 or 32, as the FADT's TMR_VAL_EXT flag says.
  AcpiPm(TimerQueue& timers, IrqLine& sci, MachineControl& machine, unsigned timer_bits = 32);

  void press_power_button();

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return "acpi-pm"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  [[nodiscard]] uint64_t ticks() const;
  [[nodiscard]] uint8_t read_byte(unsigned offset);
  [[nodiscard]] bool write_byte(unsigned offset, uint8_t value);
  void collect();
  void update_sci();
  void expired();

  mutable std::mutex mutex_;  ///< before everything in interrupt/irq_line.h
  TimerQueue& timers_;
  IrqLine& sci_;
  MachineControl& machine_;
  const unsigned timer_bits_;
  uint16_t status_ = 0;
  uint16_t enable_ = 0;
  uint16_t control_ = 0;
  uint64_t halves_ = 0;  ///< half turns of the timer when TMR_STS was last brought up to date
  Timer timer_;
};

}  // namespace eidolon::device
