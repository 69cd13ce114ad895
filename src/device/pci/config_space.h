// The 4 KiB of configuration space of one function: bytes, each bit of which is read-only, writable, or
// cleared by writing one (PCI Local Bus 3.0, 6.1; PCI Express Base 4.0, 7.2). No lock: the function has one.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/state_stream.h"

namespace eidolon::device::pci {

class ConfigSpace {
 public:
  static constexpr unsigned kSize = 4096;

  // While the function is put together. Offsets are the caller's own, not the guest's.
  /// A field with its value after reset, the bits that software may write and those that a written one
  /// clears.
  template <typename T>
  void define(unsigned offset, T value, T writable = 0, T clearable = 0) {
    put(bytes_, offset, value);
    put(initial_, offset, value);
    put(writable_, offset, writable);
    put(clearable_, offset, clearable);
  }
  /// Room for a capability of `length` bytes with its header, at the head of the list. Its offset.
  unsigned add_capability(uint8_t id, unsigned length);

  /// The device's own view: no masks.
  template <typename T>
  [[nodiscard]] T get(unsigned offset) const {
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
  }
  template <typename T>
  void set(unsigned offset, T value) {
    put(bytes_, offset, value);
  }

  /// The guest's view. `size` is 1, 2 or 4; what is beyond the end reads as ones.
  [[nodiscard]] uint32_t read(unsigned offset, unsigned size) const;
  void write(unsigned offset, unsigned size, uint32_t value);

  void reset() { bytes_ = initial_; }
  void save(StateWriter& to) const { to(bytes_); }
  /// Takes only the bits that a guest or a device can have changed: identity and layout are this machine's.
  void load(StateReader& from);

 private:
  using Bytes = std::array<uint8_t, kSize>;
  template <typename T>
  static void put(Bytes& bytes, unsigned offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof(T));
  }

  Bytes bytes_{};
  Bytes initial_{};
  Bytes writable_{};
  Bytes clearable_{};
  unsigned next_capability_ = 0x40;
};

}  // namespace eidolon::device::pci
