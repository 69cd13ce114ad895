#include "device/net/e1000_ring.h"

namespace eidolon::device::net::e1000 {

namespace {
constexpr uint64_t kBaseBits = ~uint64_t{0xf};
constexpr uint32_t kLengthBits = 0x000fff80, kIndexBits = 0xffff;
}  // namespace

uint32_t Ring::read(uint32_t offset) const {
  switch (offset) {
    case kBaseLow:
      return static_cast<uint32_t>(base_);
    case kBaseHigh:
      return static_cast<uint32_t>(base_ >> 32);
    case kLength:
      return length_;
    case kHead:
      return head_;
    case kTail:
      return tail_;
    default:
      return 0;
  }
}

void Ring::write(uint32_t offset, uint32_t value) {
  switch (offset) {
    case kBaseLow:
      base_ = ((base_ >> 32 << 32) | value) & kBaseBits;
      break;
    case kBaseHigh:
      base_ = (base_ & 0xffffffff) | uint64_t{value} << 32;
      break;
    case kLength:
      length_ = value & kLengthBits;
      break;
    case kHead:
      head_ = value & kIndexBits;
      break;
    case kTail:
      tail_ = value & kIndexBits;
      break;
    default:
      break;
  }
}

uint32_t Ring::available() const {
  if (!sane()) return 0;
  return tail_ >= head_ ? tail_ - head_ : tail_ + entries() - head_;
}

void Ring::load(StateReader& from) {
  from(base_, length_, head_, tail_);
  base_ &= kBaseBits;
  length_ &= kLengthBits;
  head_ &= kIndexBits;
  tail_ &= kIndexBits;
}

}  // namespace eidolon::device::net::e1000
