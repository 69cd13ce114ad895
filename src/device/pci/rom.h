// The contents of a function's expansion ROM (PCI Local Bus 3.0, 6.3), for add_bar() with BarKind::kRom.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "memory/io_handler.h"

namespace eidolon::device::pci {

class Rom final : public memory::IoHandler {
 public:
  static constexpr size_t kLeast = 2048, kMost = 16 << 20;

  /// At most kMost bytes; what is missing to a power of two reads as ones, like an erased chip.
  explicit Rom(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) {
    bytes_.resize(std::bit_ceil(std::max(bytes_.size(), kLeast)), 0xff);
  }
  [[nodiscard]] uint64_t size() const { return bytes_.size(); }

  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override {
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + offset, size);
    return value;
  }
  void io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t /*value*/) override {}

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace eidolon::device::pci
