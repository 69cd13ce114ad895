// A 16-bit word of a ring that guest and device use at the same time.
#pragma once

#include <cstdint>
#include <optional>

#include "device/dma.h"

namespace eidolon::device::virtio {

// SAFETY: the pointer is to two bytes of guest RAM that Dma has checked, which stay mapped as long as the
// machine. The address is even and regions begin on pages, so the access is aligned and as atomic as the
// guest's own.
[[nodiscard]] inline std::optional<uint16_t> load_word(const Dma& dma, GuestPhysical address) {
  const std::span<const uint8_t> bytes = dma.readable(address, 2);
  if (bytes.size() != 2 || (address & 1) != 0) return std::nullopt;
  return __atomic_load_n(reinterpret_cast<const uint16_t*>(bytes.data()), __ATOMIC_ACQUIRE);
}

// SAFETY: as above.
[[nodiscard]] inline bool store_word(Dma& dma, GuestPhysical address, uint16_t value) {
  const std::span<uint8_t> bytes = dma.writable(address, 2);
  if (bytes.size() != 2 || (address & 1) != 0) return false;
  __atomic_store_n(reinterpret_cast<uint16_t*>(bytes.data()), value, __ATOMIC_RELEASE);
  dma.written(address, 2);
  return true;
}

}  // namespace eidolon::device::virtio
