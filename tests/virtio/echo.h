// A device that returns what it is sent, for the tests of transports.
#pragma once

#include <gtest/gtest.h>

#include "device/virtio/device.h"
#include "virtio/split_driver.h"

namespace eidolon::device::virtio {

/// Copies each buffer's readable part to its writable part, at once.
class Echo final : public Device {
 public:
  Echo() : Device({.name = "echo", .type = 40, .features = 1u << 3, .queue_sizes = {16, 8}}) {}
  static constexpr int kDoorbells = 100;
  [[nodiscard]] int doorbell(unsigned queue) const override { return kDoorbells + static_cast<int>(queue); }
  unsigned resets = 0;
  std::vector<uint8_t> bytes = {1, 2, 3, 4, 5};

 protected:
  void queue_notified(unsigned queue) override {
    Chain chain;
    while (take(queue, chain)) {
      uint32_t value = 0;
      const bool done = chain.read(dma(), 0, &value, 4) && chain.write(dma(), 0, &value, 4);
      give_back(queue, chain, done ? 4 : 0);
    }
    signal(queue);
    (void)rearm(queue);
  }
  void reset_device() override { ++resets; }
  std::vector<uint8_t> config() override { return bytes; }
  void config_byte_written(uint64_t offset, uint8_t value) override {
    if (offset < bytes.size()) bytes[offset] = value;
  }
};

/// A buffer of two parts: the value, and where it is to come to, 16 bytes behind it.
inline void offer_echo(SplitDriver& driver, GuestPhysical data, uint32_t value) {
  driver.put<uint32_t>(data, value);
  driver.descriptor(0, data, 4, SplitDriver::kNext, 1);
  driver.descriptor(1, data + 16, 4, SplitDriver::kWrite);
  driver.offer(0);
}

}  // namespace eidolon::device::virtio
