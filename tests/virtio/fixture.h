// A virtio device on the bus of the PCI tests, and a driver that sets it up as the specification says.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "device/virtio/pci_transport.h"
#include "pci/fixture.h"
#include "virtio/split_driver.h"

namespace eidolon::device::virtio {

class VirtioTest : public pci::PciTest {
 protected:
  static constexpr unsigned kSlot = 5;
  static constexpr GuestPhysical kRings = 0x10000, kData = 0x60000;
  static constexpr uint8_t kQueueVector = 0x50, kConfigVector = 0x4f;

  // Offsets in BAR 0.
  static constexpr uint64_t kIsr = 0x1000, kConfig = 0x2000, kNotify = 0x3000;

  void put(Device& device) {
    transport = std::make_unique<PciTransport>(device);
    root.add(kSlot, 0, *transport);
    ASSERT_TRUE(pci::place(root, bridge, lpc, kWindows));
    write(kSlot, pci::kCommand, 2, 7);
    bar = read(kSlot, 0x10);
    table = read(kSlot, 0x14);
  }
  uint64_t get_bar(uint64_t offset, unsigned size) { return mmio.read(bar + offset, size); }
  void set_bar(uint64_t offset, unsigned size, uint64_t value) { mmio.write(bar + offset, size, value); }
  uint8_t status() { return static_cast<uint8_t>(get_bar(0x14, 1)); }
  uint64_t offered() {
    set_bar(0, 4, 0);
    const uint64_t low = get_bar(4, 4);
    set_bar(0, 4, 1);
    return low | get_bar(4, 4) << 32;
  }
  void accept(uint64_t features) {
    set_bar(0x14, 1, 3);
    set_bar(8, 4, 0);
    set_bar(12, 4, features & 0xffffffff);
    set_bar(8, 4, 1);
    set_bar(12, 4, features >> 32);
    set_bar(0x14, 1, 11);
  }
  /// MSI-X: vector 0 for the configuration, 1 + n for queue n.
  void use_messages(unsigned queues) {
    for (unsigned i = 0; i <= queues; ++i) {
      mmio.write(table + 16 * i, 4, 0xfee00000);
      mmio.write(table + 16 * i + 8, 4, i == 0 ? kConfigVector : kQueueVector + i - 1);
      mmio.write(table + 16 * i + 12, 4, 0);
    }
    unsigned at = read(kSlot, pci::kCapabilities, 1);
    while (read(kSlot, at, 1) != pci::kCapabilityMsiX) at = read(kSlot, at + 1, 1);
    write(kSlot, at + 2, 2, 0x8000);
    set_bar(0x10, 2, 0);
    for (unsigned i = 0; i < queues; ++i) {
      set_bar(0x16, 2, i);
      set_bar(0x1a, 2, i + 1);
    }
  }
  SplitDriver make_queue(unsigned number, uint16_t size = 16) {
    SplitDriver driver(*memory, kRings + number * 0x4000, size);
    enable_queue(number, driver.place());
    return driver;
  }
  void enable_queue(unsigned number, const RingPlace& place) {
    set_bar(0x16, 2, number);
    set_bar(0x18, 2, place.size);
    set_bar(0x20, 8, place.descriptors);
    set_bar(0x28, 4, place.driver);
    set_bar(0x2c, 4, 0);
    set_bar(0x30, 8, place.device);
    set_bar(0x1c, 2, 1);
  }
  void driver_ok() { set_bar(0x14, 1, 15); }
  void notify(unsigned queue) { set_bar(kNotify + 4 * queue, 2, queue); }

  /// Devices have threads. False after ten seconds.
  static bool wait_until(const std::function<bool()>& condition) {
    for (int i = 0; i < 10'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  std::unique_ptr<PciTransport> transport;
  uint64_t bar = 0;
  uint64_t table = 0;
};

}  // namespace eidolon::device::virtio
