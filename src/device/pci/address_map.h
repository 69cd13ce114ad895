// One address space of the PCI bus, ports or memory: which BAR answers where. It is what the machine's IoBus
// asks when none of the board's own devices answers.
//
// BARs move while processors run, so it has a lock of its own, which is not held while a device is called.
// Where two windows overlap, which only a confused guest does, the one that was placed first answers.
#pragma once

#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "memory/io_handler.h"

namespace eidolon::device::pci {

class AddressMap final : public memory::IoHandler {
 public:
  /// Puts the window of `key` at [base, base + length), or moves it there. `handler` lives as long as the
  /// map.
  void place(const void* key, uint64_t base, uint64_t length, memory::IoHandler& handler);
  void remove(const void* key);

  // memory::IoHandler, with the address itself as offset.
  [[nodiscard]] uint64_t io_read(uint64_t address, unsigned size) override;
  void io_write(uint64_t address, unsigned size, uint64_t value) override;

 private:
  struct Window {
    const void* key;
    uint64_t base;
    uint64_t length;
    memory::IoHandler* handler;
  };
  [[nodiscard]] std::optional<Window> find(uint64_t address) const;

  mutable std::shared_mutex mutex_;
  std::vector<Window> windows_;
};

}  // namespace eidolon::device::pci
