// Big-endian numbers in byte arrays.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace eidolon::backend::image {

template <std::unsigned_integral T>
[[nodiscard]] T big_endian(T value) {
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}
template <std::unsigned_integral T>
[[nodiscard]] T load_big_endian(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return big_endian(value);
}
template <std::unsigned_integral T>
void store_big_endian(uint8_t* to, T value) {
  value = big_endian(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace eidolon::backend::image
