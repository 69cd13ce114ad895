#include "device/virtio/split_ring.h"

#include <array>
#include <atomic>

#include "base/fence.h"
#include "device/virtio/shared_word.h"

namespace eidolon::device::virtio {

namespace {

// Available ring: flags, index, entries of 2 bytes, used_event. Used ring: flags, index, entries of 8 bytes,
// avail_event (2.7.6, 2.7.8).
constexpr uint64_t kIndex = 2, kEntries = 4, kAvailableEntry = 2, kUsedEntry = 8;
constexpr uint16_t kNoInterrupt = 1;

struct Descriptor {
  uint64_t address;
  uint32_t length;
  uint16_t flags;
  uint16_t next;
};
static_assert(sizeof(Descriptor) == kDescriptorBytes);

}  // namespace

SplitRing::SplitRing(Dma& dma, const RingPlace& place, uint64_t features)
    : dma_(dma),
      place_(place),
      indirect_((features & kFeatureIndirect) != 0),
      event_index_((features & kFeatureEventIndex) != 0) {}

Take SplitRing::take(Chain& chain) {
  const auto index = load_word(dma_, place_.driver + kIndex);
  if (!index) return Take::kBroken;
  if (*index == next_) return Take::kEmpty;
  if (static_cast<uint16_t>(*index - next_) > place_.size) return Take::kBroken;  // more than there can be
  const auto head = load_word(dma_, place_.driver + kEntries + next_ % place_.size * kAvailableEntry);
  if (!head || *head >= place_.size) return Take::kBroken;
  chain.clear(*head);
  if (!follow(chain, *head)) return Take::kBroken;
  ++next_;
  return Take::kChain;
}

bool SplitRing::follow(Chain& chain, uint16_t head) const {
  uint16_t at = head;
  for (unsigned count = 0; count < place_.size; ++count) {  // more would be a loop
    Descriptor descriptor;
    if (at >= place_.size ||
        !dma_.read(place_.descriptors + at * kDescriptorBytes, &descriptor, sizeof descriptor))
      return false;
    if ((descriptor.flags & kDescriptorIndirect) != 0) {
      return indirect_ && (descriptor.flags & kDescriptorNext) == 0 &&
             follow_indirect(chain, descriptor.address, descriptor.length);
    }
    if (!chain.add({descriptor.address, descriptor.length}, (descriptor.flags & kDescriptorWrite) != 0))
      return false;
    if ((descriptor.flags & kDescriptorNext) == 0) return true;
    at = descriptor.next;
  }
  return false;
}

bool SplitRing::follow_indirect(Chain& chain, GuestPhysical table, uint32_t length) const {
  const uint32_t entries = length / kDescriptorBytes;
  if (length % kDescriptorBytes != 0 || entries == 0) return false;
  uint32_t at = 0;
  for (size_t count = 0; count <= Chain::kMaxSegments; ++count) {
    Descriptor descriptor;
    if (at >= entries || !dma_.read(table + at * kDescriptorBytes, &descriptor, sizeof descriptor))
      return false;
    if ((descriptor.flags & kDescriptorIndirect) != 0) return false;  // only one level
    if (!chain.add({descriptor.address, descriptor.length}, (descriptor.flags & kDescriptorWrite) != 0))
      return false;
    if ((descriptor.flags & kDescriptorNext) == 0) return true;
    at = descriptor.next;
  }
  return false;
}

bool SplitRing::fill(const Chain& chain, uint32_t written) {
  const std::array<uint32_t, 2> entry = {chain.id, written};
  if (!dma_.write(place_.device + kEntries + used_ % place_.size * kUsedEntry, entry.data(), sizeof entry))
    return false;
  ++used_;
  return true;
}

bool SplitRing::publish() { return store_word(dma_, place_.device + kIndex, used_); }

bool SplitRing::interrupt_wanted() {
  full_fence();  // our index is out before the driver's wish is read
  const uint16_t before = signalled_;
  signalled_ = used_;
  if (before == used_) return false;
  if (!event_index_) return (load_word(dma_, place_.driver).value_or(0) & kNoInterrupt) == 0;
  const auto event = load_word(dma_, place_.driver + kEntries + place_.size * kAvailableEntry);
  return !event || passes(*event, used_, before);
}

bool SplitRing::rearm() {
  if (event_index_) {
    // On failure the ring is broken, and take() will say so.
    (void)store_word(dma_, place_.device + kEntries + place_.size * kUsedEntry, next_);
    full_fence();
  }
  const auto index = load_word(dma_, place_.driver + kIndex);
  return !index || *index != next_;
}

}  // namespace eidolon::device::virtio
