// Adapters for devices that own several ranges, or whose registers are one byte wide.
#pragma once

#include "memory/io_handler.h"

namespace eidolon::memory {

/// One range of a device that has several: accesses go to two of its members.
template <typename Owner, uint64_t (Owner::*Read)(uint64_t, unsigned),
          void (Owner::*Write)(uint64_t, unsigned, uint64_t)>
class IoWindow final : public IoHandler {
 public:
  explicit IoWindow(Owner& owner) : owner_(owner) {}
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override {
    return (owner_.*Read)(offset, size);
  }
  void io_write(uint64_t offset, unsigned size, uint64_t value) override {
    (owner_.*Write)(offset, size, value);
  }

 private:
  Owner& owner_;
};

/// A range of byte registers: a wider access is one access per byte, lowest first, as on an 8-bit bus.
template <typename Owner, uint8_t (Owner::*Read)(unsigned), void (Owner::*Write)(unsigned, uint8_t)>
class ByteWindow final : public IoHandler {
 public:
  explicit ByteWindow(Owner& owner) : owner_(owner) {}
  [[nodiscard]] uint64_t io_read(uint64_t offset, unsigned size) override {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i)
      value |= uint64_t{(owner_.*Read)(static_cast<unsigned>(offset) + i)} << (8 * i);
    return value;
  }
  void io_write(uint64_t offset, unsigned size, uint64_t value) override {
    for (unsigned i = 0; i < size; ++i)
      (owner_.*Write)(static_cast<unsigned>(offset) + i, static_cast<uint8_t>(value >> (8 * i)));
  }

 private:
  Owner& owner_;
};

}  // namespace eidolon::memory
