// A device's access to guest memory, from any thread.
//
// Every range is checked; one that is not RAM as a whole is refused, and so is everything while the device
// may not master the bus. Bytes that hold translated code may change this way: the processor drops the
// translations before it takes the interrupt that says so (GuestMemory::after_foreign_write).
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>

#include "memory/guest_memory.h"

namespace eidolon::device {

using memory::GuestPhysical;

class Dma {
 public:
  explicit Dma(memory::GuestMemory& memory) : memory_(memory) {}
  Dma(const Dma&) = delete;
  Dma& operator=(const Dma&) = delete;

  void set_enabled(bool enabled) { enabled_.store(enabled, std::memory_order_release); }
  [[nodiscard]] bool enabled() const { return enabled_.load(std::memory_order_acquire); }

  [[nodiscard]] bool read(GuestPhysical address, void* to, uint64_t length) const {
    return enabled() && memory_.read(address, to, length);
  }
  [[nodiscard]] bool write(GuestPhysical address, const void* from, uint64_t length) {
    const std::span<uint8_t> bytes = writable(address, length);
    if (bytes.size() != length) return false;
    if (length != 0) std::memcpy(bytes.data(), from, length);
    written(address, length);
    return true;
  }

  /// The bytes themselves, for system calls that fill or send them; empty if any of them is not RAM (or ROM,
  /// to read). Call written() afterwards.
  [[nodiscard]] std::span<uint8_t> writable(GuestPhysical address, uint64_t length) const {
    const auto place = memory_.locate(address);
    if (!enabled() || !place || place->kind != memory::RegionKind::kRam || length > place->left) return {};
    return present(std::span(place->host, length));
  }
  [[nodiscard]] std::span<const uint8_t> readable(GuestPhysical address, uint64_t length) const {
    const uint8_t* bytes = enabled() ? memory_.host(address, length) : nullptr;
    return bytes == nullptr ? std::span<const uint8_t>() : present(std::span(bytes, length));
  }
  /// Some of what the others return might still have to come from another host.
  [[nodiscard]] bool arriving() const { return memory_.arriving(); }
  void written(GuestPhysical address, uint64_t length) { memory_.after_foreign_write(address, length); }

 private:
  template <typename Byte>
  std::span<Byte> present(std::span<Byte> bytes) const {
    if (memory_.arriving()) [[unlikely]]
      memory::GuestMemory::touch(bytes);
    return bytes;
  }
  memory::GuestMemory& memory_;
  std::atomic<bool> enabled_{true};
};

}  // namespace eidolon::device
