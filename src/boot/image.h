// Reading little-endian fields out of untrusted file contents, and writing them into tables.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace eidolon::boot {

using Image = std::span<const uint8_t>;

/// The T at `offset`, or T{} if the image ends before it: a field that is not there is zero.
template <typename T>
[[nodiscard]] T field(Image image, uint64_t offset) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value{};
  if (offset <= image.size() && sizeof(T) <= image.size() - offset)
    std::memcpy(&value, image.data() + offset, sizeof(T));
  return value;
}

/// Whether [offset, offset + length) lies in the image.
[[nodiscard]] inline bool contains(Image image, uint64_t offset, uint64_t length) {
  return offset <= image.size() && length <= image.size() - offset;
}

/// Writes at `offset` of a buffer that the caller made large enough.
template <typename T>
void put(std::span<uint8_t> buffer, uint64_t offset, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(buffer.subspan(offset, sizeof(T)).data(), &value, sizeof(T));
}

template <typename T>
void append(std::vector<uint8_t>& buffer, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  buffer.resize(buffer.size() + sizeof(T));
  put(buffer, buffer.size() - sizeof(T), value);
}

}  // namespace eidolon::boot
