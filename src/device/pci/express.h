// The PCI Express capability of an endpoint inside the root complex, with function level reset (PCI Express
// Base 4.0, 7.5.3), and the power management capability (PCI Power Management 1.2, 3.2): D0 and D3hot, state
// kept.
#pragma once

#include "device/pci/capability.h"
#include "device/pci/config_space.h"

namespace eidolon::device::pci {

class Express final : public Capability {
 public:
  explicit Express(ConfigSpace& config);
  void config_changed(ConfigSpace& config) override;
  /// Whether software has asked for a function level reset since the last call.
  [[nodiscard]] bool take_reset_request();

 private:
  const unsigned at_;
  bool reset_requested_ = false;
};

class Power final : public Capability {
 public:
  explicit Power(ConfigSpace& config);
  void config_changed(ConfigSpace& config) override;
  /// In D3hot a function answers nothing but configuration accesses.
  [[nodiscard]] bool on(const ConfigSpace& config) const;

 private:
  const unsigned at_;
};

}  // namespace eidolon::device::pci
