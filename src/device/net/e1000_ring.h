// A ring of descriptors of 16 bytes in guest memory (317453, 3.2.6, 3.4): what is from the head up to the
// tail is the card's. A ring without length, or whose head or tail is outside it, has nothing for the card.
#pragma once

#include <array>
#include <cstdint>

#include "base/state_stream.h"
#include "device/dma.h"

namespace eidolon::device::net::e1000 {

struct Descriptor {
  uint64_t address;
  uint32_t lower;
  uint32_t upper;
};
static_assert(sizeof(Descriptor) == 16);

class Ring {
 public:
  // Its registers, from the first of them on.
  static constexpr uint32_t kBaseLow = 0x00, kBaseHigh = 0x04, kLength = 0x08, kHead = 0x10, kTail = 0x18;
  static constexpr uint32_t kEnd = 0x1c;

  void reset() { *this = {}; }
  [[nodiscard]] uint32_t read(uint32_t offset) const;
  void write(uint32_t offset, uint32_t value);

  [[nodiscard]] uint32_t entries() const { return length_ / sizeof(Descriptor); }
  /// A head and a tail that can be.
  [[nodiscard]] bool sane() const { return head_ < entries() && tail_ < entries(); }
  /// How many descriptors are the card's.
  [[nodiscard]] uint32_t available() const;
  [[nodiscard]] GuestPhysical head_address() const { return base_ + head_ * sizeof(Descriptor); }
  /// The descriptor at the head goes back to the driver.
  void advance() { head_ = head_ + 1 < entries() ? head_ + 1 : 0; }

  void save(StateWriter& to) const { to(base_, length_, head_, tail_); }
  void load(StateReader& from);

 private:
  uint64_t base_ = 0;
  uint32_t length_ = 0;  ///< bytes
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
};

}  // namespace eidolon::device::net::e1000
