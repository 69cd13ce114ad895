// Virtio over MMIO (virtio 1.2, 4.2), version 2 of its registers: a page of a device's own, and one wire,
// which is asserted as long as InterruptStatus is not zero.
#pragma once

#include <mutex>

#include "device/device.h"
#include "device/dma.h"
#include "device/holdable.h"
#include "device/virtio/device.h"
#include "device/virtio/driver_registers.h"

namespace eidolon::device::virtio {

class MmioTransport final : public device::Device,
                            public Holdable,
                            public memory::IoHandler,
                            private Signals {
 public:
  static constexpr uint64_t kBytes = 0x1000;
  /// QueueNotify (4.2.2): the number of the queue is written there.
  static constexpr uint64_t kNotifyAt = 0x050;

  /// `device` and `wire` outlive the transport.
  MmioTransport(virtio::Device& device, memory::GuestMemory& memory, IrqLine& wire);

  [[nodiscard]] bool hold(std::chrono::milliseconds patience) override { return device_.hold(patience); }
  void release() override { device_.release(); }
  [[nodiscard]] std::string_view obstacle() const override { return device_.obstacle(); }

  [[nodiscard]] std::string_view name() const override { return device_.shape().name; }
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

 private:
  // Signals
  void signal_queue(unsigned /*queue*/) override { interrupt(kCauseQueue); }
  void signal_config() override { interrupt(kCauseConfig); }
  void interrupt(uint8_t cause);
  void acknowledge(uint8_t causes);

  [[nodiscard]] uint32_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint32_t value);

  virtio::Device& device_;
  DriverRegisters registers_;
  Dma dma_;
  IrqLine& wire_;

  mutable std::mutex mutex_;  ///< guards what follows; after the device's, before the wire's
  uint8_t causes_ = 0;        ///< InterruptStatus
};

}  // namespace eidolon::device::virtio
