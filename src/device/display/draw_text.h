// Characters of a text mode: glyphs from plane 2, attributes, underline, blinking, cursor.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "device/display/draw.h"

namespace eidolon::device::display {

class TextPainter {
 public:
  TextPainter(const Registers& registers, const Mode& mode, Blink blink, std::span<const uint8_t> memory,
              const std::array<uint32_t, 16>& colours);

  /// Scan line `row` of the character whose code and attribute are in planes 0 and 1; `count` is the CRTC's,
  /// for the cursor. Writes the mode's 8 or 9 dots.
  void draw(const uint8_t* planes, uint32_t count, uint32_t row, uint32_t* to) const;

 private:
  [[nodiscard]] uint8_t glyph_row(uint8_t character, uint8_t attributes, uint32_t row) const;
  [[nodiscard]] bool at_cursor(uint32_t count, uint32_t row) const;

  std::span<const uint8_t> memory_;
  const std::array<uint32_t, 16>& colours_;
  const uint32_t dots_;
  const uint32_t rows_;
  const Blink blink_;
  const bool blinking_;            ///< bit 7 of an attribute is blinking, not a bright background
  const bool line_graphics_;       ///< the ninth dot of 0xc0 to 0xdf repeats the eighth
  std::array<uint32_t, 2> fonts_;  ///< offsets in plane 2, by attribute bit 3
  const uint32_t underline_;
  bool cursor_;
  const uint32_t cursor_at_, cursor_first_, cursor_last_;
};

}  // namespace eidolon::device::display
