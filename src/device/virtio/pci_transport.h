// Virtio over PCI (virtio 1.2, 4.1): the common, ISR, device and notification structures in BAR 0, the window
// through configuration space, and MSI-X in BAR 1. A transitional device has the registers of the legacy
// interface in BAR 0 (pci_legacy.cpp), and the structures in BAR 4.
#pragma once

#include <array>

#include "device/holdable.h"
#include "device/pci/function.h"
#include "device/virtio/device.h"
#include "device/virtio/driver_registers.h"
#include "memory/io_window.h"

namespace eidolon::device::virtio {

/// Whether drivers that are older than virtio 1.0 can use a device.
enum class PciForm : uint8_t { kModern, kTransitional };

class PciTransport final : public pci::Function, public Holdable, private Signals, private memory::IoHandler {
 public:
  /// `device` outlives the transport. One of a type that is younger than virtio 1.0 has the modern form only.
  explicit PciTransport(virtio::Device& device, PciForm form = PciForm::kModern);

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override { return device_.hold(patience); }
  void release() override { device_.release(); }
  [[nodiscard]] std::string_view obstacle() const override { return device_.obstacle(); }

 protected:
  void connected() override;
  void reset_device() override;
  void save_device(StateWriter& to) const override;
  void load_device(StateReader& from) override;
  void config_written(unsigned offset, unsigned size) override;
  void before_config_read(unsigned offset, unsigned size) override;

 private:
  static constexpr uint16_t kNoVector = 0xffff;

  /// The ports of the legacy interface.
  class Legacy final : public memory::IoHandler {
   public:
    static constexpr uint64_t kPorts = 128;
    explicit Legacy(PciTransport& transport) : transport_(transport), device_(transport.device_) {}
    [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
    void io_write(uint64_t offset, unsigned size, uint64_t value) override;

   private:
    [[nodiscard]] uint64_t common_bytes() const;
    void set_queue_address(uint32_t page);
    PciTransport& transport_;
    virtio::Device& device_;
  };

  // Signals
  void signal_queue(unsigned queue) override;
  void signal_config() override;
  void interrupt(uint8_t cause, uint16_t vector);

  // memory::IoHandler: the structures
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;
  [[nodiscard]] uint64_t read_common(uint64_t offset, unsigned size);
  void write_common(uint64_t offset, uint64_t value);
  void set_status(uint8_t status, Interface interface);
  struct Vectors {
    uint16_t config, queue;
  };
  /// Those of the configuration and of a queue.
  [[nodiscard]] Vectors vectors(unsigned queue) const;
  void set_vector(bool config, uint32_t value);
  [[nodiscard]] uint8_t take_causes();

  void add_structure(uint8_t type, uint32_t offset, uint32_t length);
  void add_window();
  struct Access {
    uint32_t offset;
    unsigned size;
  };
  [[nodiscard]] std::optional<Access> window_access() const;

  virtio::Device& device_;  ///< not device::Device, which this is itself
  DriverRegisters registers_;
  const unsigned queues_;
  Legacy legacy_{*this};
  const uint8_t structures_bar_;
  unsigned window_at_ = 0;  ///< the capability's offset

  mutable std::mutex mutex_;  ///< guards what follows; after the device's, before the function's
  uint16_t config_vector_ = kNoVector;
  std::vector<uint16_t> queue_vectors_;
  uint8_t causes_ = 0;  ///< the ISR status
};

}  // namespace eidolon::device::virtio
