// A base address register (PCI Local Bus 3.0, 6.2.5): a window of one of the function's handlers in ports or
// memory.
#pragma once

#include <cstdint>

#include "device/pci/config_space.h"
#include "memory/guest_memory.h"
#include "memory/io_handler.h"

namespace eidolon::device::pci {

enum class BarKind : uint8_t { kIo, kMemory32, kMemory64, kPrefetchable64, kRom };

class Bar {
 public:
  /// Defines register `index` (0-5; a 64-bit one takes the next too; the ROM has its own). `size` is a power
  /// of two, at least 4 for ports, 16 for memory and 2048 for the ROM. `window`: memory of that size which
  /// the guest reaches without the handler, where that is possible.
  Bar(ConfigSpace& config, unsigned index, BarKind kind, uint64_t size, memory::IoHandler& handler,
      const memory::Region* window = nullptr);

  [[nodiscard]] BarKind kind() const { return kind_; }
  [[nodiscard]] bool is_io() const { return kind_ == BarKind::kIo; }
  [[nodiscard]] bool is_64bit() const {
    return kind_ == BarKind::kMemory64 || kind_ == BarKind::kPrefetchable64;
  }
  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] unsigned offset() const { return offset_; }
  [[nodiscard]] memory::IoHandler& handler() const { return handler_; }
  [[nodiscard]] const memory::Region* window() const { return window_; }

  /// Where the register puts the window. Zero is nowhere: that is how an unassigned register reads.
  [[nodiscard]] uint64_t address(const ConfigSpace& config) const;
  /// Whether the command register, and the ROM's own bit, let it answer.
  [[nodiscard]] bool decoded(const ConfigSpace& config) const;

 private:
  const BarKind kind_;
  const uint64_t size_;
  const unsigned offset_;
  memory::IoHandler& handler_;
  const memory::Region* const window_;
};

}  // namespace eidolon::device::pci
