#include "vhost/shared_ring.h"

#include <cstring>
#include <numeric>

#include "base/assert.h"
#include "base/fence.h"

namespace eidolon::vhost {

namespace {

// Flags, index and entries, of 2 bytes and of 8 (2.7.6, 2.7.8).
constexpr size_t kIndex = 2, kEntries = 4, kAvailableEntry = 2, kUsedEntry = 8;
constexpr uint16_t kNoNotify = 1, kNext = 1, kWrite = 2;

}  // namespace

SharedRing::SharedRing(std::span<uint8_t> memory) : memory_(memory), free_(kSize), chains_(kSize) {
  static_assert(kAvailable + kEntries + kAvailableEntry * kSize + 2 <= kUsed);
  static_assert(kUsed + kEntries + kUsedEntry * kSize + 2 <= kBytes);
  EIDOLON_ASSERT(memory.size() == kBytes);
  std::iota(free_.begin(), free_.end(), uint16_t{0});
}

// SAFETY: within the memory, and even. The other process reads and writes it meanwhile, so it is accessed
// with atomic operations only.
uint16_t* SharedRing::word(size_t offset) const {
  return reinterpret_cast<uint16_t*>(memory_.data() + offset);
}

std::optional<uint16_t> SharedRing::add(std::span<const Piece> pieces) {
  EIDOLON_ASSERT(!pieces.empty() && pieces.size() <= kSize);
  if (pieces.size() > free_.size()) return std::nullopt;
  std::vector<uint16_t> chain(free_.end() - static_cast<ptrdiff_t>(pieces.size()), free_.end());
  free_.resize(free_.size() - pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    const bool last = i + 1 == pieces.size();
    const Descriptor descriptor = {
        .address = pieces[i].address,
        .length = pieces[i].length,
        .flags = static_cast<uint16_t>((pieces[i].written ? kWrite : 0) | (last ? 0 : kNext)),
        .next = last ? uint16_t{0} : chain[i + 1]};
    std::memcpy(memory_.data() + kDescriptors + chain[i] * sizeof descriptor, &descriptor, sizeof descriptor);
  }
  const uint16_t head = chain.front();
  chains_[head] = std::move(chain);
  ++under_way_;
  __atomic_store_n(word(kAvailable + kEntries + available_ % kSize * kAvailableEntry), head,
                   __ATOMIC_RELAXED);
  __atomic_store_n(word(kAvailable + kIndex), ++available_, __ATOMIC_RELEASE);
  return head;
}

bool SharedRing::kick_wanted() const {
  full_fence();  // our index is out before its wish is read
  return (__atomic_load_n(word(kUsed), __ATOMIC_RELAXED) & kNoNotify) == 0;
}

SharedRing::Take SharedRing::take(Used& used) {
  const uint16_t index = __atomic_load_n(word(kUsed + kIndex), __ATOMIC_ACQUIRE);
  if (index == used_) return Take::kNone;
  if (static_cast<uint16_t>(index - used_) > under_way_) return Take::kBroken;
  std::array<uint32_t, 2> entry;
  std::memcpy(entry.data(), memory_.data() + kUsed + kEntries + used_ % kSize * kUsedEntry, sizeof entry);
  if (entry[0] >= kSize || chains_[entry[0]].empty()) return Take::kBroken;
  std::vector<uint16_t>& chain = chains_[entry[0]];
  free_.insert(free_.end(), chain.begin(), chain.end());
  chain.clear();
  --under_way_;
  ++used_;
  used = {.head = static_cast<uint16_t>(entry[0]), .length = entry[1]};
  return Take::kUsed;
}

}  // namespace eidolon::vhost
