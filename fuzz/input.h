// The input of a fuzz target, as a source of numbers; zeros when it is used up.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

namespace eidolon::fuzz {

class InputBytes {
 public:
  explicit InputBytes(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  template <typename T>
  T take() {
    T value{};
    const size_t length = std::min(sizeof(T), bytes_.size());
    if (length != 0) std::memcpy(&value, bytes_.data(), length);
    bytes_ = bytes_.subspan(length);
    return value;
  }

 private:
  std::span<const uint8_t> bytes_;
};

}  // namespace eidolon::fuzz
