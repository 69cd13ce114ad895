#include "device/display/vbe.h"

#include <algorithm>

namespace eidolon::device::display {

using namespace vbe;

namespace {

constexpr uint32_t kBankBytes = 1 << 16;

uint32_t pitch_for(uint32_t width, uint32_t bits) { return bits == 15 ? width * 2 : width * bits / 8; }

/// The 16-colour modes are planar: a byte of each of four planes holds eight dots.
uint32_t line_bytes(const Registers& r, uint32_t width) {
  return r.vbe[kBits] == 4 ? width / 8 * 4 : pitch_for(width, r.vbe[kBits]);
}

bool known_bits(uint16_t bits) {
  return bits == 4 || bits == 8 || bits == 15 || bits == 16 || bits == 24 || bits == 32;
}

uint16_t whole_bytes(uint32_t width) { return static_cast<uint16_t>(width & ~7u); }

/// A virtual screen at least as large as the real one, as high as the memory allows, and offsets inside it.
void fit(Registers& r, uint32_t memory_bytes) {
  auto& v = r.vbe;
  const uint32_t width = std::max<uint32_t>(v[kWidth], 8);
  const uint32_t most = memory_bytes / (line_bytes(r, 8) * std::max<uint32_t>(v[kHeight], 1)) * 8;
  v[kVirtualWidth] =
      whole_bytes(std::clamp<uint32_t>(v[kVirtualWidth], width, std::clamp<uint32_t>(most, width, 0xfff8)));
  const uint32_t lines = memory_bytes / std::max<uint32_t>(line_bytes(r, v[kVirtualWidth]), 1);
  v[kVirtualHeight] = static_cast<uint16_t>(std::min<uint32_t>(lines, 0xffff));
  v[kXOffset] = std::min<uint16_t>(v[kXOffset], static_cast<uint16_t>(v[kVirtualWidth] - width));
  v[kYOffset] = static_cast<uint16_t>(std::min<uint32_t>(
      v[kYOffset], lines > v[kHeight] ? std::min<uint32_t>(lines - v[kHeight], 0xffff) : 0));
}

VbeEffect write_enable(Registers& r, uint16_t value, uint32_t memory_bytes) {
  const bool was_on = r.vbe_enabled();
  r.vbe[kEnable] = value & (kEnabled | kGetLimits | k8BitDac | kLinear | kKeepMemory);
  if (was_on || !r.vbe_enabled()) return VbeEffect::kNone;
  auto& v = r.vbe;
  // A mode that does not fit is bent until it does; the guest reads back what it got.
  if (!known_bits(v[kBits])) v[kBits] = 8;
  v[kWidth] = whole_bytes(std::clamp<uint32_t>(v[kWidth], 8, kMaxWidth));
  const uint32_t lines = memory_bytes / line_bytes(r, v[kWidth]);
  v[kHeight] =
      static_cast<uint16_t>(std::clamp<uint32_t>(v[kHeight], 1, std::min<uint32_t>(lines, kMaxHeight)));
  v[kVirtualWidth] = v[kWidth];
  v[kXOffset] = v[kYOffset] = 0;
  v[kBank] = 0;
  fit(r, memory_bytes);
  return (value & kKeepMemory) == 0 ? VbeEffect::kClearScreen : VbeEffect::kNone;
}

}  // namespace

uint32_t vbe_pitch(const Registers& r) { return line_bytes(r, r.vbe[kVirtualWidth]); }
uint32_t vbe_screen_bytes(const Registers& r) { return vbe_pitch(r) * r.vbe[kHeight]; }

uint16_t read_vbe(const Registers& r, unsigned index, uint32_t memory_bytes) {
  if (index >= kRegisters) return 0;
  if (index == kMemory64K) return static_cast<uint16_t>(memory_bytes / kBankBytes);
  if ((r.vbe[kEnable] & kGetLimits) != 0) {
    if (index == kWidth) return kMaxWidth;
    if (index == kHeight) return kMaxHeight;
    if (index == kBits) return kMaxBits;
  }
  return r.vbe[index];
}

VbeEffect write_vbe(Registers& r, unsigned index, uint16_t value, uint32_t memory_bytes) {
  switch (index) {
    case kId:
      if (value >= kOldestId && value <= kNewestId) r.vbe[kId] = value;
      break;
    case kWidth:
    case kHeight:
    case kBits:
      if (!r.vbe_enabled()) r.vbe[index] = value;
      break;
    case kEnable:
      return write_enable(r, value, memory_bytes);
    case kBank:
      r.vbe[kBank] = static_cast<uint16_t>(value & (memory_bytes / kBankBytes - 1));
      break;
    case kVirtualWidth:
    case kXOffset:
    case kYOffset:
      r.vbe[index] = value;
      if (r.vbe_enabled()) fit(r, memory_bytes);
      break;
    default:
      break;  // the virtual height follows from the memory
  }
  return VbeEffect::kNone;
}

void settle_vbe(Registers& r, uint32_t memory_bytes) {
  auto& v = r.vbe;
  if (v[kId] < kOldestId || v[kId] > kNewestId) v[kId] = kNewestId;
  v[kBank] = static_cast<uint16_t>(v[kBank] & (memory_bytes / kBankBytes - 1));
  if (!r.vbe_enabled()) return;
  if (!known_bits(v[kBits])) v[kBits] = 8;
  v[kWidth] = whole_bytes(std::clamp<uint32_t>(v[kWidth], 8, kMaxWidth));
  v[kHeight] = static_cast<uint16_t>(std::clamp<uint32_t>(
      v[kHeight], 1, std::min<uint32_t>(memory_bytes / line_bytes(r, v[kWidth]), kMaxHeight)));
  fit(r, memory_bytes);
}

}  // namespace eidolon::device::display
