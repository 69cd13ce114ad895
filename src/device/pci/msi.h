// The MSI capability (PCI Local Bus 3.0, 6.8.1): up to 32 vectors, 64-bit addresses, a mask bit per vector.
#pragma once

#include <atomic>

#include "device/pci/capability.h"
#include "device/pci/config_space.h"
#include "interrupt/apic_bus.h"

namespace eidolon::device::pci {

class Msi final : public Capability {
 public:
  /// `vectors` is 1, 2, 4, 8, 16 or 32.
  Msi(ConfigSpace& config, unsigned vectors);
  void connect(const interrupt::ApicBus& apics) { apics_ = &apics; }

  /// From any thread.
  [[nodiscard]] bool enabled() const { return enabled_.load(std::memory_order_acquire); }

  // With the function's configuration lock held.
  /// A masked vector stays pending. With fewer vectors granted than asked for, the upper ones fold onto the
  /// lower.
  void send(ConfigSpace& config, unsigned vector) const;
  void config_changed(ConfigSpace& config) override;

 private:
  void deliver(const ConfigSpace& config, unsigned vector) const;
  const unsigned at_;
  std::atomic<bool> enabled_{false};
  const interrupt::ApicBus* apics_ = nullptr;
};

}  // namespace eidolon::device::pci
