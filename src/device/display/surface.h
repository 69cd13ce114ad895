// A picture, and which parts of it have changed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace eidolon::device::display {

struct Surface {
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<uint32_t> pixels;  ///< row by row; 0x00RRGGBB

  void resize(uint32_t new_width, uint32_t new_height) {
    width = new_width;
    height = new_height;
    pixels.assign(size_t{width} * height, 0);
  }
  [[nodiscard]] std::span<uint32_t> line(uint32_t y) {
    return std::span(pixels).subspan(size_t{y} * width, width);
  }
  [[nodiscard]] std::span<const uint32_t> line(uint32_t y) const {
    return std::span(pixels).subspan(size_t{y} * width, width);
  }
};

struct Rectangle {
  uint32_t x, y, width, height;
  bool operator==(const Rectangle&) const = default;
};

}  // namespace eidolon::device::display
