// Bit fields and alignment.
#pragma once

#include <cstdint>

namespace eidolon {

/// Bits `high`..`low` (inclusive) of `value`, shifted down to bit 0.
[[nodiscard]] constexpr uint64_t bits(uint64_t value, unsigned high, unsigned low) {
  const unsigned width = high - low + 1;
  return (value >> low) & (width >= 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1);
}
[[nodiscard]] constexpr bool bit(uint64_t value, unsigned index) { return (value >> index) & 1; }
[[nodiscard]] constexpr uint64_t mask_below(unsigned width) {
  return width >= 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
}
/// `value`'s low `width` bits, sign-extended to 64.
[[nodiscard]] constexpr uint64_t sign_extend(uint64_t value, unsigned width) {
  const uint64_t sign = uint64_t{1} << (width - 1);
  return ((value & mask_below(width)) ^ sign) - sign;
}
/// `alignment` must be a power of two.
[[nodiscard]] constexpr uint64_t align_down(uint64_t value, uint64_t alignment) {
  return value & ~(alignment - 1);
}
[[nodiscard]] constexpr uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

}  // namespace eidolon
