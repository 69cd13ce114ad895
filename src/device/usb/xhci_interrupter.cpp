#include "device/usb/xhci_interrupter.h"

#include <algorithm>

#include "base/bits.h"

namespace eidolon::device::usb::xhci {

namespace {
constexpr uint64_t kTableBits = ~uint64_t{0x3f}, kDequeueBits = ~uint64_t{0xf};
constexpr uint32_t kBusy = 1u << 3;
constexpr uint64_t kTableEntryBytes = 16;
constexpr uint32_t kFewestEntries = 16, kMostEntries = 4096;

void set_half(uint64_t& whole, bool upper, uint32_t value, uint64_t kept) {
  whole = upper ? (whole & mask_below(32)) | uint64_t{value} << 32 : (whole & ~mask_below(32)) | value;
  whole &= kept;
}
}  // namespace

uint32_t Interrupter::read(uint64_t offset) const {
  switch (offset) {
    case kManagement:
      return management_;
    case kModeration:
      return moderation_;
    case kSegmentCount:
      return segments_;
    case kSegmentTable:
      return static_cast<uint32_t>(table_);
    case kSegmentTable + 4:
      return static_cast<uint32_t>(table_ >> 32);
    case kDequeue:
      return static_cast<uint32_t>(dequeue_) | (busy_ ? kBusy : 0);
    case kDequeue + 4:
      return static_cast<uint32_t>(dequeue_ >> 32);
    default:
      return 0;
  }
}

bool Interrupter::write(const Dma& dma, uint64_t offset, uint32_t value) {
  switch (offset) {
    case kManagement:
      management_ = (management_ & ~(value & kPending) & ~kEnable) | (value & kEnable);
      return asserted();
    case kModeration:
      moderation_ = value;
      return false;
    case kSegmentCount:
      segments_ = value & 0xffff;
      return false;
    case kSegmentTable:
      // A driver writes the upper half last, or both at once; then the ring begins anew (5.5.2.3.2).
      set_half(table_, false, value, kTableBits);
      start(dma);
      return false;
    case kSegmentTable + 4:
      set_half(table_, true, value, kTableBits);
      start(dma);
      return false;
    case kDequeue: {
      set_half(dequeue_, false, value & ~kBusy, kDequeueBits);
      if ((value & kBusy) == 0) return false;
      busy_ = false;
      // Events that came while it was busy are told now.
      const bool more = started_ && dequeue_ != base_ + uint64_t{entry_} * sizeof(Trb);
      if (more) set_pending();
      return more;
    }
    case kDequeue + 4:
      set_half(dequeue_, true, value, kDequeueBits);
      return false;
    default:
      return false;
  }
}

bool Interrupter::segment(const Dma& dma, uint32_t index, Segment& segment) const {
  struct {
    uint64_t base;
    uint32_t entries;
    uint32_t unused;
  } entry;
  if (!dma.read(table_ + index * kTableEntryBytes, &entry, sizeof entry)) return false;
  segment = {.base = entry.base & kTableBits, .entries = entry.entries & 0xffff};
  return segment.entries >= kFewestEntries && segment.entries <= kMostEntries;
}

void Interrupter::start(const Dma& dma) {
  Segment first{};
  started_ = segments_ != 0 && segments_ <= kMostSegments && segment(dma, 0, first);
  cycle_ = true;
  index_ = entry_ = 0;
  base_ = first.base;
  entries_ = first.entries;
}

/// From here to the driver's dequeue pointer, less one, which tells full from empty. A pointer that is in no
/// segment leaves room in none.
uint32_t Interrupter::room(const Dma& dma) const {
  if (!started_) return 0;
  const auto distance = [this](GuestPhysical base, uint32_t entries) -> uint32_t {
    const uint64_t at = (dequeue_ - base) / sizeof(Trb);
    return dequeue_ >= base && at < entries ? static_cast<uint32_t>(at) : entries;
  };
  const uint32_t here = distance(base_, entries_);
  if (here < entries_ && here > entry_) return here - entry_ - 1;
  uint32_t room = entries_ - entry_;
  for (uint32_t i = 1; i <= segments_; ++i) {
    Segment next{};
    if (!segment(dma, (index_ + i) % segments_, next)) return 0;
    const uint32_t there = distance(next.base, next.entries);
    if (there < next.entries) return room + there - 1;
    room += next.entries;
  }
  return 0;
}

void Interrupter::set_pending() {
  busy_ = true;
  management_ |= kPending;
}

Interrupter::Posted Interrupter::post(Dma& dma, Trb event, bool quiet) {
  event.control = (event.control & ~kCycle) | (cycle_ ? kCycle : 0);
  const GuestPhysical at = base_ + uint64_t{entry_} * sizeof(Trb);
  const std::span<uint8_t> bytes = dma.writable(at, sizeof(Trb));
  if (bytes.size() != sizeof(Trb)) return Posted::kFailed;
  std::memcpy(bytes.data(), &event, 12);
  // SAFETY: four aligned bytes of guest RAM that Dma has checked. A driver looks at the cycle bit in them, so
  // they are written last, and at once.
  __atomic_store_n(reinterpret_cast<uint32_t*>(bytes.data() + 12), event.control, __ATOMIC_RELEASE);
  dma.written(at, sizeof(Trb));
  if (++entry_ == entries_) {
    entry_ = 0;
    if (++index_ >= segments_) {
      index_ = 0;
      cycle_ = !cycle_;
    }
    Segment next{};
    if (!segment(dma, index_, next)) {
      started_ = false;
      return Posted::kFailed;
    }
    base_ = next.base;
    entries_ = next.entries;
  }
  if (quiet || busy_) return Posted::kQuiet;
  set_pending();
  return Posted::kPending;
}

void Interrupter::load(StateReader& from) {
  fields(*this, from);
  const bool sound = !started_ || (segments_ != 0 && segments_ <= kMostSegments && index_ < segments_ &&
                                   entries_ <= kMostEntries && entry_ < entries_);
  if (!sound || (base_ & ~kTableBits) != 0) from.fail();
  management_ &= kPending | kEnable;
  table_ &= kTableBits;
  dequeue_ &= kDequeueBits;
  if (from.failed()) reset();
}

}  // namespace eidolon::device::usb::xhci
