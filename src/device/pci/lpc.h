// The ICH9's bridge to the ISA devices, 00:1f.0 (ICH9 datasheet, 316972, chapter 13): the PIRQ routing
// registers, and where the ports of power management are. The registers that firmware sets and reads back
// (decode ranges, RCBA) keep what is written.
#pragma once

#include "device/pci/function.h"
#include "device/pci/root.h"

namespace eidolon::device::pci {

class Lpc final : public Function {
 public:
  static constexpr unsigned kDevice = 0x1f;

  static constexpr uint64_t kPmPorts = 128;

  /// `pm` takes kPmPorts ports; null: there are none.
  explicit Lpc(Root& root, memory::IoHandler* pm = nullptr);
  /// What firmware does: PIRQ A to H to the 8259's interrupts.
  void route(unsigned line, uint8_t value);
  /// What firmware does: the ports of power management from `base` on, a multiple of 128.
  void enable_pm(uint16_t base);
  /// Where they are, or 0 if they are nowhere.
  [[nodiscard]] uint16_t pm_base() const;

 protected:
  void reset_device() override { loaded(); }
  void save_device(StateWriter& /*to*/) const override {}
  void load_device(StateReader& /*from*/) override {}
  void config_written(unsigned offset, unsigned size) override;
  void loaded() override {
    apply_routes();
    place_pm();
  }

 private:
  void apply_routes();
  void place_pm();
  Root& root_;
  memory::IoHandler* const pm_;
};

}  // namespace eidolon::device::pci
