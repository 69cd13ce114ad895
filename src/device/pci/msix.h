// The MSI-X capability (PCI Local Bus 3.0, 6.8.2): the table of messages and the pending bits, in a memory
// BAR of their own.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "device/pci/capability.h"
#include "device/pci/config_space.h"
#include "interrupt/apic_bus.h"
#include "memory/io_handler.h"

namespace eidolon::device::pci {

/// The table is at the BAR's start, the pending bits are at its middle.
class MsiX final : public Capability, public memory::IoHandler {
 public:
  /// `vectors` is 1 to 2048; the BAR `bar` of bar_size() bytes is the caller's to make.
  MsiX(ConfigSpace& config, unsigned bar, unsigned vectors);
  void connect(const interrupt::ApicBus& apics) { apics_ = &apics; }

  [[nodiscard]] uint64_t bar_size() const { return bar_size_; }
  [[nodiscard]] unsigned vectors() const { return static_cast<unsigned>(entries_.size()); }
  [[nodiscard]] bool enabled() const { return enabled_.load(std::memory_order_acquire); }
  /// From any thread, with the device's lock held or not. Vectors that are not there are ignored.
  void send(unsigned vector);

  void config_changed(ConfigSpace& config) override;
  void reset() override;
  void save(StateWriter& to) const override;
  void load(StateReader& from) override;

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override;
  void io_write(uint64_t offset, unsigned size, uint64_t value) override;

 private:
  struct Entry {
    std::array<uint32_t, 4> words;  ///< address, its upper half, data, control
    bool pending;
  };
  static constexpr Entry kReset = {.words = {0, 0, 0, 1}, .pending = false};
  [[nodiscard]] uint32_t read_word(uint64_t offset) const;
  void write_word(uint64_t offset, uint32_t value);
  void deliver_if_open(Entry& entry);

  const unsigned at_;
  const uint64_t bar_size_;
  const interrupt::ApicBus* apics_ = nullptr;
  std::atomic<bool> enabled_{false};
  mutable std::mutex mutex_;  ///< after the device's and the function's, before ApicBus
  bool masked_ = false;       ///< all of them
  std::vector<Entry> entries_;
};

}  // namespace eidolon::device::pci
