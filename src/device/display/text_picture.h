// What a text mode shows, as characters and not as dots: for onlookers that have a font of their own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "device/display/vga.h"

namespace eidolon::device::display {

struct TextCell {
  uint8_t character = ' ';  ///< of code page 437, unless the guest has loaded another font
  uint8_t foreground = 7;   ///< of the 16 colours of a PC: blue is 1, bright ones are from 8 on
  uint8_t background = 0;
  bool blinks = false;
  bool operator==(const TextCell&) const = default;
};

struct TextPicture {
  uint32_t columns = 0, rows = 0;
  std::vector<TextCell> cells;  ///< row after row
  struct Cursor {
    uint32_t column, row;
    bool operator==(const Cursor&) const = default;
  };
  std::optional<Cursor> cursor;  ///< unless it is off or elsewhere
  bool operator==(const TextPicture&) const = default;
};

/// Nothing if the mode is no text mode.
[[nodiscard]] std::optional<TextPicture> text_picture(const Capture& capture);

}  // namespace eidolon::device::display
