// The driver's side of a split ring, in guest memory: what a guest does, and what it should not.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "device/virtio/ring.h"
#include "virtio/guest_words.h"

namespace eidolon::device::virtio {

class SplitDriver : public GuestWords {
 public:
  static constexpr uint16_t kNext = 1, kWrite = 2, kIndirect = 4;

  /// Takes three pages from `base` on.
  SplitDriver(memory::GuestMemory& memory, GuestPhysical base, uint16_t size)
      : SplitDriver(memory,
                    {.size = size, .descriptors = base, .driver = base + 0x1000, .device = base + 0x2000}) {}
  /// One that lies as `place` says, in pages from the descriptors to the one in which the used ring begins.
  SplitDriver(memory::GuestMemory& memory, const RingPlace& place) : GuestWords(memory), place_(place) {
    const std::vector<uint8_t> zeroes(place.device - place.descriptors + 0x1000);
    EXPECT_TRUE(memory.write(place.descriptors, zeroes.data(), zeroes.size()));
  }

  [[nodiscard]] const RingPlace& place() const { return place_; }

  void descriptor(uint16_t index, GuestPhysical address, uint32_t length, uint16_t flags, uint16_t next = 0) {
    put_descriptor(place_.descriptors + index * 16u, address, length, flags, next);
  }
  void put_descriptor(GuestPhysical at, GuestPhysical address, uint32_t length, uint16_t flags,
                      uint16_t next = 0) {
    put(at, address);
    put(at + 8, length);
    put(at + 12, flags);
    put(at + 14, next);
  }
  void offer(uint16_t head) {
    put(place_.driver + 4 + available_ % place_.size * 2u, head);
    set_available(static_cast<uint16_t>(available_ + 1));
  }
  void set_available(uint16_t index) {
    available_ = index;
    __atomic_store_n(word(place_.driver + 2), index, __ATOMIC_RELEASE);  // the device's threads look at it
  }
  void set_flags(uint16_t flags) { put(place_.driver, flags); }
  void set_used_event(uint16_t index) { put(place_.driver + 4 + place_.size * 2u, index); }

  [[nodiscard]] uint16_t used() const { return __atomic_load_n(word(place_.device + 2), __ATOMIC_ACQUIRE); }
  [[nodiscard]] uint32_t used_id(uint16_t index) const {
    return get<uint32_t>(place_.device + 4 + index % place_.size * 8u);
  }
  [[nodiscard]] uint32_t used_length(uint16_t index) const {
    return get<uint32_t>(place_.device + 8 + index % place_.size * 8u);
  }
  [[nodiscard]] uint16_t available_event() const {
    return get<uint16_t>(place_.device + 4 + place_.size * 8u);
  }

 private:
  const RingPlace place_;
  uint16_t available_ = 0;
};

}  // namespace eidolon::device::virtio
