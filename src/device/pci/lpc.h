// The ICH9's bridge to the ISA devices, 00:1f.0 (ICH9 datasheet, 316972, chapter 13): the PIRQ routing
// registers. The power management block cannot be moved from 0x600. The registers that firmware sets and
// reads back (decode ranges, RCBA) keep what is written.
#pragma once

#include "device/pci/function.h"
#include "device/pci/pirq.h"

namespace eidolon::device::pci {

class Lpc final : public Function {
 public:
  static constexpr unsigned kDevice = 0x1f;

  explicit Lpc(Pirq& pirq);
  /// What firmware does: PIRQ A to H to the 8259's interrupts.
  void route(unsigned line, uint8_t value);

 protected:
  void reset_device() override { apply_routes(); }
  void save_device(StateWriter& /*to*/) const override {}
  void load_device(StateReader& /*from*/) override {}
  void config_written(unsigned offset, unsigned size) override;
  void loaded() override { apply_routes(); }

 private:
  void apply_routes();
  Pirq& pirq_;
};

}  // namespace eidolon::device::pci
