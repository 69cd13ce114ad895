#include "device/virtio/chain.h"

#include <algorithm>

namespace eidolon::device::virtio {

void Chain::clear(uint16_t new_id) {
  id = new_id;
  slots = 1;
  readable_.clear();
  writable_.clear();
  readable_bytes_ = writable_bytes_ = 0;
}

bool Chain::add(const Segment& segment, bool device_writes) {
  if (segments() >= kMaxSegments || (!device_writes && !writable_.empty())) return false;
  (device_writes ? writable_ : readable_).push_back(segment);
  (device_writes ? writable_bytes_ : readable_bytes_) += segment.length;
  return readable_bytes_ + writable_bytes_ <= kMaxBytes;
}

void Chain::save(StateWriter& to) const {
  to(id, slots);
  for (const auto& half : {readable_, writable_}) {
    to(static_cast<uint32_t>(half.size()));
    for (const Segment& segment : half) to(segment.address, segment.length);
  }
}

void Chain::load(StateReader& from) {
  from(id, slots);
  for (const bool device_writes : {false, true}) {
    uint32_t count = 0;
    from(count);
    for (uint32_t i = 0; i < count && !from.failed(); ++i) {
      Segment segment{};
      from(segment.address, segment.length);
      if (!add(segment, device_writes)) from.fail();
    }
  }
}

std::vector<Segment> slice(std::span<const Segment> segments, uint64_t offset, uint64_t length) {
  std::vector<Segment> result;
  for (const Segment& segment : segments) {
    if (length == 0) break;
    if (offset >= segment.length) {
      offset -= segment.length;
      continue;
    }
    const auto part = static_cast<uint32_t>(std::min<uint64_t>(segment.length - offset, length));
    result.push_back({segment.address + offset, part});
    length -= part;
    offset = 0;
  }
  return result;
}

bool Chain::read(const Dma& dma, uint64_t offset, void* to, uint64_t length) const {
  if (offset > readable_bytes_ || length > readable_bytes_ - offset) return false;
  auto* bytes = static_cast<uint8_t*>(to);
  for (const Segment& part : slice(readable_, offset, length)) {
    if (!dma.read(part.address, bytes, part.length)) return false;
    bytes += part.length;
  }
  return true;
}

bool Chain::write(Dma& dma, uint64_t offset, const void* from, uint64_t length) const {
  if (offset > writable_bytes_ || length > writable_bytes_ - offset) return false;
  const auto* bytes = static_cast<const uint8_t*>(from);
  for (const Segment& part : slice(writable_, offset, length)) {
    if (!dma.write(part.address, bytes, part.length)) return false;
    bytes += part.length;
  }
  return true;
}

}  // namespace eidolon::device::virtio
