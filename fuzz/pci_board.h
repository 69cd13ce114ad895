// What the fuzz targets of PCI devices share: a small machine with a root bus, a medium that checks what it
// is asked, and the input as a source of numbers.
#pragma once

#include <atomic>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/assert.h"
#include "device/pci/config_access.h"
#include "device/pci/host_bridge.h"
#include "device/pci/lpc.h"
#include "device/pci/placement.h"
#include "device/storage/medium.h"
#include "input.h"
#include "interrupt/irq_router.h"
#include "interrupt/local_apic.h"
#include "memory/io_bus.h"
#include "snapshot.h"

namespace eidolon::fuzz {

using namespace eidolon::device;

constexpr uint64_t kMemory = 256 << 10;

/// Has room for nothing, but checks that nothing outside it is asked for. Some reads and discards fail.
class SmallMedium final : public storage::Medium {
 public:
  explicit SmallMedium(uint64_t size = 64 << 10) : size_(size) {}
  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] bool read_only() const override { return false; }
  storage::IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    for (const iovec& part : into) {
      check(offset, part.iov_len);
      std::memset(part.iov_base, 0x11, part.iov_len);
      offset += part.iov_len;
    }
    return answer(offset);
  }
  storage::IoStatus write(uint64_t offset, std::span<const iovec> from) override {
    for (const iovec& part : from) {
      check(offset, part.iov_len);
      uint8_t sum = 0;
      for (size_t i = 0; i < part.iov_len; ++i) sum ^= static_cast<const uint8_t*>(part.iov_base)[i];
      sum_ = sum;
      offset += part.iov_len;
    }
    return storage::IoStatus::kDone;
  }
  storage::IoStatus flush() override { return storage::IoStatus::kDone; }
  storage::IoStatus discard(uint64_t offset, uint64_t length) override {
    check(offset, length);
    return answer(offset);
  }
  storage::IoStatus write_zeroes(uint64_t offset, uint64_t length, bool /*may_unmap*/) override {
    check(offset, length);
    return storage::IoStatus::kDone;
  }

 private:
  void check(uint64_t offset, uint64_t length) const {
    EIDOLON_ASSERT(offset <= size_ && length <= size_ - offset);
  }
  static storage::IoStatus answer(uint64_t offset) {
    return offset % 7 == 0 ? storage::IoStatus::kFailed : storage::IoStatus::kDone;
  }
  const uint64_t size_;
  std::atomic<uint8_t> sum_{0};
};

class Input : public InputBytes {
 public:
  using InputBytes::InputBytes;
  /// Small numbers and places in memory find more than uniform ones.
  uint64_t value() {
    const auto kind = take<uint8_t>();
    switch (kind & 3) {
      case 0:
        return kind >> 2;
      case 1:
        return take<uint32_t>() % (kMemory + 0x100);
      case 2:
        return ~uint64_t{0} >> (kind >> 2);
      default:
        return take<uint64_t>();
    }
  }
};

/// Devices are added to `root` from 00:01.0 on, then place() gives them addresses.
struct Board {
  ManualClock clock;
  TimerQueue timers{clock};
  cpu::EventFlags events;
  interrupt::Pic pic;
  interrupt::ApicBus apics;
  interrupt::LocalApic local{apics, timers, 0, true, &pic};
  interrupt::IoApic io_apic{apics};
  interrupt::IrqRouter irqs{&pic, &io_apic};
  std::unique_ptr<memory::GuestMemory> memory;
  memory::IoBus ports, mmio;
  class Nothing final : public memory::IoHandler {
    uint64_t io_read(uint64_t /*offset*/, unsigned /*size*/) override { return 0; }
    void io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t /*value*/) override {}
  } reset_control;
  pci::Root root{*memory, apics, irqs};
  pci::HostBridge bridge{root};
  pci::Lpc lpc{root};
  pci::ConfigPorts config_ports{root, reset_control};

  /// `device_memory`: room for devices' own.
  explicit Board(uint64_t device_memory = 0) : memory(*memory::GuestMemory::create(kMemory + device_memory)) {
    EIDOLON_ASSERT(memory->add_region(0, kMemory, memory::RegionKind::kRam).has_value());
    apics.connect(local);
    apics.connect(io_apic);
    local.attach(events, {.now = [] { return uint64_t{0}; }, .hz = 1'000'000'000});
    root.add(0, 0, bridge);
    root.add(pci::Lpc::kDevice, 0, lpc);
    EIDOLON_ASSERT(ports.attach(pci::ConfigPorts::kPort, 8, config_ports, "config").has_value());
    ports.set_fallback(&root.ports());
    mmio.set_fallback(&root.addresses());
  }
  void place() {
    const pci::Windows windows = {.ports = {0xc000, 0x10000},
                                  .memory32 = {0xc0000000, 0xd0000000},
                                  .memory64 = {0x4'00000000, 0x8'00000000},
                                  .config = 0xe0000000};
    EIDOLON_ASSERT(pci::place(root, bridge, lpc, windows).has_value());
  }
  [[nodiscard]] uint64_t bar(unsigned slot, unsigned number) const {
    return root.config_read(0, (slot + 1) << 3, 0x10 + 4 * number, 4) & ~15u;
  }
  template <typename T>
  void poke(uint64_t at, T value) {
    (void)memory->write(at, &value, sizeof value);
  }
};

/// An access to configuration space of one of `devices` functions, the host bridge or the LPC bridge.
inline void access_configuration(Board& board, Input& input, unsigned devices) {
  const unsigned device = input.take<uint8_t>() % (devices + 2);
  const unsigned at = device == devices + 1 ? pci::Lpc::kDevice : device;
  const unsigned size = 1u << input.take<uint8_t>() % 3;
  const unsigned offset = input.take<uint16_t>() % ((input.take<uint8_t>() & 3) != 0 ? 0x100 : 0x1000);
  if ((input.take<uint8_t>() & 1) != 0) {
    (void)board.root.config_read(0, at << 3, offset, size);
  } else {
    board.root.config_write(0, at << 3, offset, size, static_cast<uint32_t>(input.value()));
  }
}

}  // namespace eidolon::fuzz
