// The checksum of VHDX (and iSCSI): CRC-32C, Castagnoli's polynomial, RFC 3720 B.4.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace eidolon::backend::image {

[[nodiscard]] constexpr uint32_t crc32c(std::span<const uint8_t> bytes) {
  constexpr uint32_t kReversedPolynomial = 0x82f63b78;
  uint32_t sum = ~0u;
  for (const uint8_t byte : bytes) {
    sum ^= byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? kReversedPolynomial : 0);
  }
  return ~sum;
}
static_assert(crc32c(std::array<uint8_t, 9>{'1', '2', '3', '4', '5', '6', '7', '8', '9'}) == 0xe3069283);

}  // namespace eidolon::backend::image
