// The driver's side of a queue in whichever form: split or packed, with or without indirect tables and event
// positions. One buffer at a time is under way.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "device/virtio/ring.h"
#include "virtio/guest_words.h"

namespace eidolon::device::virtio {

struct RingForm {
  bool packed, indirect, event_index;
  [[nodiscard]] uint64_t features() const {
    return kFeatureVersion1 | (packed ? kFeaturePacked : 0) | (indirect ? kFeatureIndirect : 0) |
           (event_index ? kFeatureEventIndex : 0);
  }
};

struct Piece {
  GuestPhysical address;
  uint32_t length;
  bool device_writes;
};

class AnyDriver : public GuestWords {
 public:
  /// Takes four pages from `base` on; the last is for indirect tables.
  AnyDriver(memory::GuestMemory& memory, GuestPhysical base, uint16_t size, const RingForm& form)
      : GuestWords(memory),
        form_(form),
        table_(base + 0x3000),
        place_{.size = size, .descriptors = base, .driver = base + 0x1000, .device = base + 0x2000} {
    const std::vector<uint8_t> zeroes(0x4000);
    EXPECT_TRUE(memory.write(base, zeroes.data(), zeroes.size()));
  }
  [[nodiscard]] const RingPlace& place() const { return place_; }

  /// Asks for an interrupt for this one, or for none.
  void offer(const std::vector<Piece>& pieces, bool interrupt = true) {
    if (form_.packed) {
      offer_packed(pieces, interrupt);
    } else {
      offer_split(pieces, interrupt);
    }
  }
  /// The buffer has come back; how much of it was written.
  [[nodiscard]] bool returned() {
    if (!form_.packed) return __atomic_load_n(word(place_.device + 2), __ATOMIC_ACQUIRE) == offered_;
    const uint16_t flags = __atomic_load_n(word(place_.descriptors + first_ * 16u + 14), __ATOMIC_ACQUIRE);
    return ((flags & kAvailable) != 0) == first_wrap_ && ((flags & kUsed) != 0) == first_wrap_;
  }
  [[nodiscard]] uint32_t written() const {
    return form_.packed ? get<uint32_t>(place_.descriptors + first_ * 16u + 8)
                        : get<uint32_t>(place_.device + 4 + (offered_ - 1) % place_.size * 8u + 4);
  }

 private:
  static constexpr uint16_t kNext = 1, kWrite = 2, kIndirect = 4, kAvailable = 1u << 7, kUsed = 1u << 15;

  /// Both forms have the same sixteen bytes, but for what the last four mean.
  void descriptor(GuestPhysical at, const Piece& piece, uint16_t third, uint16_t fourth) {
    descriptor_but_for_last(at, piece, third);
    put(at + 14, fourth);
  }
  void descriptor_but_for_last(GuestPhysical at, const Piece& piece, uint16_t third) {
    put(at, piece.address);
    put(at + 8, piece.length);
    put(at + 12, third);
  }
  static uint16_t flags_of(const std::vector<Piece>& pieces, size_t i, bool chained) {
    return static_cast<uint16_t>((pieces[i].device_writes ? kWrite : 0) |
                                 (chained && i + 1 < pieces.size() ? kNext : 0));
  }

  void offer_split(const std::vector<Piece>& pieces, bool interrupt) {
    const GuestPhysical first = form_.indirect ? table_ : place_.descriptors;
    for (size_t i = 0; i < pieces.size(); ++i)
      descriptor(first + 16 * i, pieces[i], flags_of(pieces, i, true), static_cast<uint16_t>(i + 1));
    if (form_.indirect)
      descriptor(place_.descriptors, {table_, static_cast<uint32_t>(16 * pieces.size()), false}, kIndirect,
                 0);
    put(place_.driver, static_cast<uint16_t>(interrupt ? 0 : 1));
    // The event of this buffer, or one that has long passed.
    put(place_.driver + 4 + place_.size * 2u, static_cast<uint16_t>(interrupt ? offered_ : offered_ - 1));
    put(place_.driver + 4 + offered_ % place_.size * 2u, uint16_t{0});
    __atomic_store_n(word(place_.driver + 2), ++offered_, __ATOMIC_RELEASE);
  }

  void offer_packed(const std::vector<Piece>& pieces, bool interrupt) {
    constexpr uint16_t kId = 7, kEventWrap = 1u << 15, kDisabled = 1, kAtPosition = 2;
    first_ = next_;
    first_wrap_ = wrap_;
    if (form_.event_index) {
      const uint16_t before = static_cast<uint16_t>((first_ + place_.size - 1) % place_.size);
      const bool before_wrap = first_ == 0 ? !first_wrap_ : first_wrap_;
      const uint16_t position = interrupt ? first_ : before;
      put(place_.driver,
          static_cast<uint16_t>(position | ((interrupt ? first_wrap_ : before_wrap) ? kEventWrap : 0)));
      put(place_.driver + 2, kAtPosition);
    } else {
      put(place_.driver + 2, static_cast<uint16_t>(interrupt ? 0 : kDisabled));
    }
    std::vector<Piece> ring = pieces;
    if (form_.indirect) {
      for (size_t i = 0; i < pieces.size(); ++i)
        descriptor(table_ + 16 * i, pieces[i], 0, flags_of(pieces, i, false));
      ring = {{table_, static_cast<uint32_t>(16 * pieces.size()), false}};
    }
    uint16_t first_flags = 0;
    for (size_t i = 0; i < ring.size(); ++i) {
      const auto flags = static_cast<uint16_t>((form_.indirect ? kIndirect : flags_of(ring, i, true)) |
                                               (wrap_ ? kAvailable : kUsed));
      const GuestPhysical at = place_.descriptors + next_ * 16u;
      if (i == 0) {
        // Is made available last. The device's threads look at its flags already.
        first_flags = flags;
        descriptor_but_for_last(at, ring[i], kId);
      } else {
        descriptor(at, ring[i], kId, flags);
      }
      if (++next_ == place_.size) {
        next_ = 0;
        wrap_ = !wrap_;
      }
    }
    __atomic_store_n(word(place_.descriptors + first_ * 16u + 14), first_flags, __ATOMIC_RELEASE);
  }

  const RingForm form_;
  const GuestPhysical table_;
  const RingPlace place_;
  uint16_t offered_ = 0;           ///< split
  uint16_t next_ = 0, first_ = 0;  ///< packed
  bool wrap_ = true, first_wrap_ = true;
};

}  // namespace eidolon::device::virtio
