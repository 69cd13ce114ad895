#include "device/display/window.h"

#include <bit>
#include <cstring>

namespace eidolon::device::display {

namespace {

constexpr uint8_t kAllPlanes = 0x0f;

/// Four planes' bytes as one number, plane 0 lowest.
constexpr uint32_t spread(uint8_t value) { return value * 0x01010101u; }
/// 0xff in the byte of each plane whose bit is set.
constexpr uint32_t planes(uint8_t mask) {
  uint32_t result = 0;
  for (unsigned plane = 0; plane < 4; ++plane)
    if ((mask >> plane & 1) != 0) result |= 0xffu << (8 * plane);
  return result;
}

/// Where the memory map select register puts the window; the address within it, or nothing.
std::optional<uint32_t> in_window(const Registers& r, uint32_t offset) {
  if ((r.miscellaneous & kMiscRam) == 0) return std::nullopt;
  switch (r.graphics[graphics::kMiscellaneous] >> 2 & 3) {
    case 0:
      return offset;
    case 1:
      return offset < 0x10000 ? std::optional(offset) : std::nullopt;
    case 2:
      return offset >= 0x10000 && offset < 0x18000 ? std::optional(offset - 0x10000) : std::nullopt;
    default:
      return offset >= 0x18000 ? std::optional(offset - 0x18000) : std::nullopt;
  }
}

/// The packed modes of the Bochs interface have a bank of 64 KiB in the window, whatever the VGA registers
/// say.
std::optional<uint32_t> banked(const Registers& r, uint32_t offset, size_t memory_bytes) {
  if (!r.vbe_enabled() || r.vbe[vbe::kBits] == 4 || offset >= 0x10000) return std::nullopt;
  return (r.vbe[vbe::kBank] * 0x10000u + offset) & static_cast<uint32_t>(memory_bytes - 1);
}

struct Place {
  uint32_t index;  ///< of the four planes' bytes
  uint8_t planes;  ///< which of them the address reaches
};

Place place(const Registers& r, uint32_t address, bool odd_even, size_t memory_bytes) {
  const auto plane = static_cast<unsigned>(address & 3);
  uint32_t index = address;
  uint8_t reached = kAllPlanes;
  if ((r.sequencer[sequencer::kMemoryMode] & sequencer::kChain4) != 0) {
    index = address >> 2;
    reached = static_cast<uint8_t>(1u << plane);
  } else if (odd_even) {
    index = address & ~1u;
    reached = (address & 1) != 0 ? 0x0a : 0x05;
  }
  if (r.vbe_enabled()) {  // 16 colours: banks of 64 KiB of each plane
    index += r.vbe[vbe::kBank] * 0x10000u / 4;
    return {index & static_cast<uint32_t>(memory_bytes / 4 - 1), reached};
  }
  return {index & (kPlaneBytes - 1), reached};
}

uint32_t load(std::span<const uint8_t> memory, uint32_t index) {
  uint32_t value = 0;
  std::memcpy(&value, memory.data() + size_t{index} * 4, 4);
  return value;
}

uint32_t combine(uint8_t function, uint32_t data, uint32_t latches) {
  switch (function) {
    case 1:
      return data & latches;
    case 2:
      return data | latches;
    case 3:
      return data ^ latches;
    default:
      return data;
  }
}

/// What the graphics controller makes of a byte on its way to the planes.
uint32_t processed(const Registers& r, uint8_t value) {
  using namespace graphics;
  const uint32_t latches = std::bit_cast<uint32_t>(r.latches);
  const auto mode = r.graphics[kMode] & 3;
  if (mode == 1) return latches;

  const uint8_t rotated = std::rotr(value, r.graphics[kRotate] & 7);
  const uint32_t set_reset = planes(r.graphics[kSetReset]);
  uint32_t bits = spread(r.graphics[kBitMask]);
  uint32_t data = 0;
  if (mode == 0) {
    const uint32_t enabled = planes(r.graphics[kEnableSetReset]);
    data = (spread(rotated) & ~enabled) | (set_reset & enabled);
  } else if (mode == 2) {
    data = planes(value & kAllPlanes);
  } else {
    data = set_reset;
    bits &= spread(rotated);
  }
  data = combine(r.graphics[kRotate] >> 3 & 3, data, latches);
  return (data & bits) | (latches & ~bits);
}

/// Read mode 1: a bit is set where the planes that count hold the compared colour.
uint8_t compared(const Registers& r, uint32_t value) {
  const uint32_t difference =
      (value ^ planes(r.graphics[graphics::kColourCompare])) & planes(r.graphics[graphics::kColourCare]);
  return static_cast<uint8_t>(~(difference | difference >> 8 | difference >> 16 | difference >> 24));
}

}  // namespace

uint8_t read_window(Registers& r, std::span<const uint8_t> memory, uint32_t offset) {
  if (const auto at = banked(r, offset, memory.size())) return memory[*at];
  const auto address = in_window(r, offset);
  if (!address) return 0xff;
  const bool odd_even = (r.graphics[graphics::kMode] & graphics::kHostOddEven) != 0;
  const Place at = place(r, *address, odd_even, memory.size());
  const uint32_t value = load(memory, at.index);
  r.latches = std::bit_cast<std::array<uint8_t, 4>>(value);

  if ((r.graphics[graphics::kMode] & graphics::kReadCompare) != 0) return compared(r, value);
  unsigned plane = r.graphics[graphics::kReadMap] & 3;
  if ((r.sequencer[sequencer::kMemoryMode] & sequencer::kChain4) != 0) {
    plane = *address & 3;
  } else if (odd_even) {
    plane = (plane & 2) | (*address & 1);
  }
  return r.latches[plane];
}

std::optional<uint32_t> write_window(Registers& r, std::span<uint8_t> memory, uint32_t offset,
                                     uint8_t value) {
  if (const auto at = banked(r, offset, memory.size())) {
    memory[*at] = value;
    return *at & ~3u;
  }
  const auto address = in_window(r, offset);
  if (!address) return std::nullopt;
  const bool odd_even = (r.sequencer[sequencer::kMemoryMode] & sequencer::kSequential) == 0;
  const Place at = place(r, *address, odd_even, memory.size());
  const uint32_t mask = planes(r.sequencer[sequencer::kMapMask] & at.planes);
  const uint32_t result = (load(memory, at.index) & ~mask) | (processed(r, value) & mask);
  std::memcpy(memory.data() + size_t{at.index} * 4, &result, 4);
  return at.index * 4;
}

}  // namespace eidolon::device::display
