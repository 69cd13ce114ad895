// Numbers as SCSI writes them: the most significant byte first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace eidolon::device::storage {

[[nodiscard]] inline uint64_t get_big(std::span<const uint8_t> bytes) {
  uint64_t value = 0;
  for (const uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

inline void put_big(std::span<uint8_t> at, uint64_t value) {
  for (size_t i = at.size(); i-- > 0; value >>= 8) at[i] = static_cast<uint8_t>(value);
}

inline void append_big(std::vector<uint8_t>& bytes, unsigned length, uint64_t value) {
  bytes.resize(bytes.size() + length);
  put_big(std::span(bytes).last(length), value);
}

}  // namespace eidolon::device::storage
