#include <utility>

#include "device/display/draw.h"

namespace eidolon::device::display {

namespace {

/// `value`'s low `width` bits as eight.
constexpr uint32_t widen(uint32_t value, unsigned width) {
  value &= (1u << width) - 1;
  return (value << (8 - width) | value >> (2 * width - 8)) & 0xff;
}

constexpr uint32_t from_555(uint32_t dot) {
  return widen(dot >> 10, 5) << 16 | widen(dot >> 5, 5) << 8 | widen(dot, 5);
}
constexpr uint32_t from_565(uint32_t dot) {
  return widen(dot >> 11, 5) << 16 | widen(dot >> 5, 6) << 8 | widen(dot, 5);
}

uint32_t take(const uint8_t* from, unsigned bytes) {
  uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) value |= uint32_t{from[i]} << (8 * i);
  return value;
}

}  // namespace

void draw_packed_line(const Registers& r, const Mode& mode, std::span<const uint8_t> source,
                      std::span<uint32_t> line) {
  const uint8_t* from = source.data();
  switch (mode.bits) {
    case 8:
      for (uint32_t& dot : line) dot = dac_colour(r, *from++);
      break;
    case 15:
      for (uint32_t& dot : line) dot = from_555(take(std::exchange(from, from + 2), 2));
      break;
    case 16:
      for (uint32_t& dot : line) dot = from_565(take(std::exchange(from, from + 2), 2));
      break;
    case 24:
      for (uint32_t& dot : line) dot = take(std::exchange(from, from + 3), 3);
      break;
    default:
      for (uint32_t& dot : line) dot = take(std::exchange(from, from + 4), 4) & 0xffffff;
      break;
  }
}

}  // namespace eidolon::device::display
