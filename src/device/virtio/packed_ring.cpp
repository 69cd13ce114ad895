#include "device/virtio/packed_ring.h"

#include <atomic>
#include <cstddef>
#include <utility>

#include "base/fence.h"
#include "device/virtio/shared_word.h"

namespace eidolon::device::virtio {

namespace {

constexpr uint16_t kAvailable = 1u << 7, kUsed = 1u << 15;
// Event suppression (2.8.14): a position, and what it means.
constexpr uint64_t kEventFlags = 2;
constexpr uint16_t kEventsEnabled = 0, kEventsDisabled = 1, kEventsAtPosition = 2;
constexpr uint16_t kEventWrap = 1u << 15;

struct Descriptor {
  uint64_t address;
  uint32_t length;
  uint16_t id;
  uint16_t flags;
};
static_assert(sizeof(Descriptor) == kDescriptorBytes);

}  // namespace

PackedRing::PackedRing(Dma& dma, const RingPlace& place, uint64_t features)
    : dma_(dma),
      place_(place),
      indirect_((features & kFeatureIndirect) != 0),
      event_index_((features & kFeatureEventIndex) != 0) {}

void PackedRing::Position::advance(uint16_t by, uint16_t size) {
  const uint32_t sum = uint32_t{index} + by;
  if (sum >= size) wrap = !wrap;
  index = static_cast<uint16_t>(sum >= size ? sum - size : sum);
}

bool PackedRing::available(Position at, uint16_t flags) const {
  return ((flags & kAvailable) != 0) == at.wrap && ((flags & kUsed) != 0) != at.wrap;
}

std::optional<uint16_t> PackedRing::flags_at(uint16_t index) const {
  return load_word(dma_, place_.descriptors + index * kDescriptorBytes + offsetof(Descriptor, flags));
}

Take PackedRing::take(Chain& chain) {
  const auto first = flags_at(next_.index);
  if (!first) return Take::kBroken;
  if (!available(next_, *first)) return Take::kEmpty;
  chain.clear(0);
  Position at = next_;
  for (uint16_t count = 1; count <= place_.size; ++count) {  // more would be a loop
    Descriptor descriptor;
    if (!dma_.read(place_.descriptors + at.index * kDescriptorBytes, &descriptor, sizeof descriptor))
      return Take::kBroken;
    at.advance(1, place_.size);
    const bool last = (descriptor.flags & kDescriptorNext) == 0;
    const bool indirect = (descriptor.flags & kDescriptorIndirect) != 0;
    const bool added =
        indirect
            ? indirect_ && last && count == 1 && add_indirect(chain, descriptor.address, descriptor.length)
            : chain.add({descriptor.address, descriptor.length}, (descriptor.flags & kDescriptorWrite) != 0);
    if (!added) return Take::kBroken;
    if (!last) continue;
    chain.id = descriptor.id;  // of the last one
    chain.slots = count;
    taken_ = std::exchange(next_, at);
    return Take::kChain;
  }
  return Take::kBroken;
}

/// All of the table, in its order (2.8.8).
bool PackedRing::add_indirect(Chain& chain, GuestPhysical table, uint32_t length) const {
  const uint32_t entries = length / kDescriptorBytes;
  if (length % kDescriptorBytes != 0 || entries == 0 || entries > Chain::kMaxSegments) return false;
  for (uint32_t i = 0; i < entries; ++i) {
    Descriptor descriptor;
    if (!dma_.read(table + i * kDescriptorBytes, &descriptor, sizeof descriptor)) return false;
    if (!chain.add({descriptor.address, descriptor.length}, (descriptor.flags & kDescriptorWrite) != 0))
      return false;
  }
  return true;
}

bool PackedRing::fill(const Chain& chain, uint32_t written) {
  if (chain.slots > place_.size) return false;  // only one of a hostile snapshot
  const GuestPhysical at = place_.descriptors + used_.index * kDescriptorBytes;
  const Descriptor descriptor = {.address = 0, .length = written, .id = chain.id, .flags = 0};
  if (!dma_.write(at + offsetof(Descriptor, length), &descriptor.length, 6)) return false;
  const uint16_t owner = used_.wrap ? kAvailable | kUsed : 0;
  const auto flags = static_cast<uint16_t>(owner | (written != 0 ? kDescriptorWrite : 0));
  used_.advance(chain.slots, place_.size);
  const Withheld written_last = {.at = at + offsetof(Descriptor, flags), .flags = flags};
  if (withheld_) return store_word(dma_, written_last.at, written_last.flags);
  withheld_ = written_last;
  return true;
}

bool PackedRing::publish() {
  const bool stored = !withheld_ || store_word(dma_, withheld_->at, withheld_->flags);
  withheld_.reset();
  return stored;
}

bool PackedRing::interrupt_wanted() {
  full_fence();
  const Position before = signalled_;
  signalled_ = used_;
  if (before == used_) return false;
  const uint16_t mode = load_word(dma_, place_.driver + kEventFlags).value_or(kEventsEnabled) & 3;
  if (mode == kEventsDisabled) return false;
  if (mode != kEventsAtPosition || !event_index_) return true;
  const auto event = load_word(dma_, place_.driver);
  if (!event) return true;
  // Both positions on one line: a position of the round before is `size` lower.
  const bool event_wrap = (*event & kEventWrap) != 0;
  auto line = static_cast<uint16_t>(*event & ~kEventWrap);
  if (event_wrap != used_.wrap) line = static_cast<uint16_t>(line - place_.size);
  auto from = before.index;
  if (before.wrap != used_.wrap) from = static_cast<uint16_t>(from - place_.size);
  return passes(line, used_.index, from);
}

bool PackedRing::rearm() {
  const auto position = static_cast<uint16_t>(next_.index | (next_.wrap ? kEventWrap : 0));
  const bool stored =
      store_word(dma_, place_.device, position) &&
      store_word(dma_, place_.device + kEventFlags, event_index_ ? kEventsAtPosition : kEventsEnabled);
  full_fence();
  const auto flags = flags_at(next_.index);
  return !stored || !flags || available(next_, *flags);
}

void PackedRing::save(StateWriter& to) const {
  for (const Position& at : {next_, used_, signalled_}) to(at.index, at.wrap);
}

void PackedRing::load(StateReader& from) {
  for (Position* at : {&next_, &used_, &signalled_}) {
    from(at->index, at->wrap);
    if (at->index >= place_.size) from.fail();
  }
}

}  // namespace eidolon::device::virtio
