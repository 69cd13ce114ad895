// The 128 ports of power management of the ICH9 (datasheet, 13.8.3 and 13.9). The bridge says where they are.
//
//   +0x00 PM1 and timer (acpi_pm.h)   +0x20 GPE0_STS, GPE0_EN   +0x30 SMI_EN, SMI_STS   +0x60 TCO
//
// There is no system management mode: SMI_EN shows what firmware that has set it up leaves behind, so that
// none tries to. A general-purpose event is on the SCI's wire while it is set and enabled
// (ACPI 6.4, 4.8.4.1). The TCO watchdog does not count.
#pragma once

#include <array>
#include <mutex>

#include "device/chipset/acpi_pm.h"
#include "interrupt/irq_line.h"

namespace eidolon::device {

class PmBlock final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kPorts = 128;

  /// `sci` is for general-purpose events; null: there are none.
  explicit PmBlock(AcpiPm& fixed, IrqLine* sci = nullptr) : fixed_(fixed), sci_(sci) { reset(); }

  /// Event 0 to 63 of GPE0 happens. From any thread.
  void raise_event(unsigned number);

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return "pm-block"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  using Bytes = std::array<uint8_t, kPorts>;
  void update_sci();

  AcpiPm& fixed_;
  IrqLine* const sci_;
  mutable std::mutex mutex_;  ///< before everything in interrupt/irq_line.h
  Bytes bytes_{};             ///< of the registers above the fixed ones
};

}  // namespace eidolon::device
