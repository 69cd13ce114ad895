#include "device/virtio/ring.h"

#include <bit>

#include "device/virtio/packed_ring.h"
#include "device/virtio/split_ring.h"

namespace eidolon::device::virtio {

std::unique_ptr<Ring> Ring::create(Dma& dma, const RingPlace& place, uint64_t features) {
  const bool packed = (features & kFeaturePacked) != 0;
  const uint64_t size = place.size;
  if (size == 0 || size > 32768 || (!packed && !std::has_single_bit(size))) return nullptr;
  struct Area {
    GuestPhysical at;
    uint64_t length;
    uint64_t alignment;
    bool written;
  };
  // Sizes and alignments: 2.7 and 2.8.10.
  const Area areas[] = {{place.descriptors, size * kDescriptorBytes, 16, packed},
                        {place.driver, packed ? 4 : 6 + 2 * size, packed ? 4u : 2u, false},
                        {place.device, packed ? 4 : 6 + 8 * size, 4, true}};
  for (const Area& area : areas) {
    if (area.at % area.alignment != 0) return nullptr;
    const bool there = area.written ? !dma.writable(area.at, area.length).empty()
                                    : !dma.readable(area.at, area.length).empty();
    if (!there) return nullptr;
  }
  if (packed) return std::make_unique<PackedRing>(dma, place, features);
  return std::make_unique<SplitRing>(dma, place, features);
}

}  // namespace eidolon::device::virtio
