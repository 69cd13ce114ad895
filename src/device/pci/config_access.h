// The two ways to configuration space: the ports 0xcf8 and 0xcfc (PCI Local Bus 3.0, 3.2.2.3.2), and the
// memory window of PCI Express, 1 MiB a bus (PCI Express Base 4.0, 7.2.2).
#pragma once

#include <mutex>

#include "device/device.h"
#include "device/pci/root.h"

namespace eidolon::device::pci {

/// Ports 0xcf8-0xcff. A byte access to 0xcf9 is not the address register's but the reset control's.
class ConfigPorts final : public Device, public memory::IoHandler {
 public:
  static constexpr uint64_t kPort = 0xcf8;
  static constexpr uint64_t kPorts = 8;

  /// `reset_control` takes the four ports from 0xcf8 on.
  ConfigPorts(Root& root, memory::IoHandler& reset_control) : root_(root), reset_control_(reset_control) {}

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

  [[nodiscard]] std::string_view name() const override { return "pci-config-ports"; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

 private:
  Root& root_;
  memory::IoHandler& reset_control_;
  mutable std::mutex mutex_;  ///< not held during configuration accesses
  uint32_t address_ = 0;
};

class ConfigWindow final : public memory::IoHandler {
 public:
  static constexpr uint64_t kBytesPerBus = 1 << 20;

  explicit ConfigWindow(Root& root) : root_(root) {}
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

 private:
  Root& root_;
};

}  // namespace eidolon::device::pci
