// The two forms of a virtqueue behind one interface (virtio 1.2, 2.7 split, 2.8 packed).
//
// Everything that a ring reads was written by the guest, at any moment, and is believed only after a check.
// What cannot be true (an index that ran backwards, a loop, a ring outside memory) makes the ring broken, and
// the device asks for a reset. No lock: the device has one.
#pragma once

#include <cstdint>
#include <memory>

#include "base/state_stream.h"
#include "device/virtio/chain.h"

namespace eidolon::device::virtio {

// Features that concern rings (6).
inline constexpr uint64_t kFeatureIndirect = uint64_t{1} << 28;
inline constexpr uint64_t kFeatureEventIndex = uint64_t{1} << 29;
inline constexpr uint64_t kFeatureVersion1 = uint64_t{1} << 32;
inline constexpr uint64_t kFeaturePacked = uint64_t{1} << 34;
inline constexpr uint64_t kRingFeatures =
    kFeatureIndirect | kFeatureEventIndex | kFeatureVersion1 | kFeaturePacked;

/// Where the driver put a queue.
struct RingPlace {
  uint16_t size = 0;  ///< entries
  GuestPhysical descriptors = 0;
  GuestPhysical driver = 0;  ///< split: the available ring; packed: the driver's event suppression
  GuestPhysical device = 0;  ///< split: the used ring; packed: the device's event suppression
};

enum class Take : uint8_t { kChain, kEmpty, kBroken };

class Ring {
 public:
  virtual ~Ring() = default;

  /// The next buffer that the driver has made available.
  [[nodiscard]] virtual Take take(Chain& chain) = 0;
  /// The buffer that was just taken is the next one again.
  virtual void put_back() = 0;
  // Buffers that belong together are filled one after the other, and then published: the driver sees all of
  // them at once, or none. What is filled and not published is in no snapshot. False: broken.
  [[nodiscard]] virtual bool fill(const Chain& chain, uint32_t written) = 0;
  [[nodiscard]] virtual bool publish() = 0;
  /// A buffer that is on its own.
  [[nodiscard]] bool give_back(const Chain& chain, uint32_t written) {
    return fill(chain, written) && publish();
  }
  /// Whether the driver wants an interrupt for what was given back since the last call.
  [[nodiscard]] virtual bool interrupt_wanted() = 0;
  /// Asks to be notified of the next buffer. True if one has come already: take() again.
  [[nodiscard]] virtual bool rearm() = 0;

  virtual void save(StateWriter& to) const = 0;
  virtual void load(StateReader& from) = 0;

  /// Null if the place cannot be right: a size that is not allowed, misaligned, not in RAM.
  [[nodiscard]] static std::unique_ptr<Ring> create(Dma& dma, const RingPlace& place, uint64_t features);
};

// A descriptor (2.7.5, 2.8.13), and its flags in both forms.
inline constexpr uint16_t kDescriptorNext = 1;
inline constexpr uint16_t kDescriptorWrite = 2;
inline constexpr uint16_t kDescriptorIndirect = 4;
inline constexpr uint64_t kDescriptorBytes = 16;

/// Whether `event` was passed when an index went from `before` to `now` (2.7.7.2).
[[nodiscard]] constexpr bool passes(uint16_t event, uint16_t now, uint16_t before) {
  return static_cast<uint16_t>(now - event - 1) < static_cast<uint16_t>(now - before);
}

}  // namespace eidolon::device::virtio
