// Little-endian numbers in byte arrays: as the host has them.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>

namespace eidolon::backend::image {

template <std::unsigned_integral T>
[[nodiscard]] T load_little_endian(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace eidolon::backend::image
