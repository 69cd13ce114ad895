// A root bus on the buses of a small machine, and a device that records what is done to it.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "cpu/event_flags.h"
#include "device/pci/config_access.h"
#include "device/pci/host_bridge.h"
#include "device/pci/lpc.h"
#include "device/pci/placement.h"
#include "device/pci/registers.h"
#include "device/pci/root.h"
#include "interrupt/local_apic.h"
#include "memory/io_bus.h"

namespace eidolon::device::pci {

/// A port BAR, a 32-bit BAR, a 64-bit BAR, MSI-X, MSI, power management, PCI Express and an interrupt wire.
class SampleDevice final : public Function, public memory::IoHandler {
 public:
  static constexpr unsigned kPortBytes = 0x20, kMemoryBytes = 0x1000;
  static constexpr uint64_t kLargeBytes = 1 << 20;

  explicit SampleDevice(std::string name = "sample")
      : Function(std::move(name),
                 {.vendor = 0x1234, .device = 0x5678, .class_code = 0x020000, .subsystem = 7}) {
    add_bar(0, BarKind::kIo, kPortBytes, *this);
    add_bar(1, BarKind::kMemory32, kMemoryBytes, *this);
    add_bar(2, BarKind::kPrefetchable64, kLargeBytes, *this);
    add_msix(4, 5);
    add_msi(4);
    add_power();
    add_express();
    add_interrupt_pin();
  }
  using Function::dma;
  using Function::send_message;
  using Function::set_interrupt;
  using Function::uses_messages;

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override {
    last_size = size;
    return 0x1122334455667700 + offset;
  }
  void io_write(uint64_t offset, unsigned /*size*/, uint64_t value) override { written[offset] = value; }

  std::map<uint64_t, uint64_t> written;
  unsigned last_size = 0;
  unsigned resets = 0;
  uint32_t state = 0;

 protected:
  void reset_device() override {
    ++resets;
    state = 0;
  }
  void save_device(StateWriter& to) const override { to(state); }
  void load_device(StateReader& from) override { from(state); }
};

class PciTest : public testing::Test {
 protected:
  static constexpr unsigned kSample = 3;
  static constexpr uint64_t kWindowRoom = 16 << 20;  ///< for a device's own memory
  static constexpr uint64_t kWindow = 0xe0000000;
  static constexpr Windows kWindows = {.ports = {0xc000, 0x10000},
                                       .memory32 = {0xc0000000, 0xd0000000},
                                       .memory64 = {0x4'00000000, 0x8'00000000},
                                       .config = kWindow};

  PciTest() {
    EXPECT_TRUE(memory->add_region(0, 0x100000, memory::RegionKind::kRam));
    apics.connect(local);
    apics.connect(io_apic);
    local.attach(events, {.now = [] { return uint64_t{0}; }, .hz = 1'000'000'000});
    local.io_write(0xf0, 4, 0x1ff);
    root.add(0, 0, bridge);
    root.add(Lpc::kDevice, 0, lpc);
    root.add(kSample, 0, sample);
    EXPECT_TRUE(ports.attach(ConfigPorts::kPort, ConfigPorts::kPorts, config_ports, "config"));
    ports.set_fallback(&root.ports());
    mmio.set_fallback(&root.addresses());
  }

  // Guest memory.
  template <typename T>
  T peek(memory::GuestPhysical at) {
    T value{};
    EXPECT_TRUE(memory->read(at, &value, sizeof value));
    return value;
  }
  template <typename T>
  void poke(memory::GuestPhysical at, T value) {
    EXPECT_TRUE(memory->write(at, &value, sizeof value));
  }

  uint32_t read(unsigned device, unsigned offset, unsigned size = 4) {
    return root.config_read(0, device << 3, offset, size);
  }
  void write(unsigned device, unsigned offset, unsigned size, uint32_t value) {
    root.config_write(0, device << 3, offset, size, value);
  }
  /// Where the sample's capability is, or 0.
  unsigned capability(uint8_t id) {
    for (unsigned at = read(kSample, kCapabilities, 1); at != 0; at = read(kSample, at + 1, 1))
      if (read(kSample, at, 1) == id) return at;
    return 0;
  }
  void finish_interrupt() { local.io_write(0xb0, 4, 0); }
  void route_pin(unsigned pin, uint32_t low) {
    io_apic.io_write(0, 4, 0x10 + 2 * pin);
    io_apic.io_write(0x10, 4, low);
  }

  class ResetByte final : public memory::IoHandler {
   public:
    [[nodiscard]] uint64_t io_read(uint64_t /*offset*/, unsigned /*size*/) override { return 0x5a; }
    void io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t value) override { written = value; }
    std::optional<uint64_t> written;
  };

  std::unique_ptr<memory::GuestMemory> memory = *memory::GuestMemory::create(0x100000 + kWindowRoom);
  ManualClock clock;
  TimerQueue timers{clock};
  cpu::EventFlags events;
  interrupt::Pic pic;
  interrupt::ApicBus apics;
  interrupt::LocalApic local{apics, timers, 0, true};
  interrupt::IoApic io_apic{apics};
  interrupt::IrqRouter irqs{&pic, &io_apic};
  Root root{*memory, apics, irqs};
  HostBridge bridge{root};
  Lpc lpc{root};
  SampleDevice sample;
  ResetByte reset_byte;
  ConfigPorts config_ports{root, reset_byte};
  memory::IoBus ports, mmio;
};

}  // namespace eidolon::device::pci
