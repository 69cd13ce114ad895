#include "device/display/draw_text.h"

#include "device/display/window.h"

namespace eidolon::device::display {

namespace {

constexpr uint32_t kGlyphBytes = 32;

/// The eight places for a font, of which three bits of the font select register choose one: 0, 16, 32 and 48
/// KiB, then the gaps between them.
uint32_t font_offset(unsigned low_bits, unsigned high_bit) { return low_bits * 0x4000 + high_bit * 0x2000; }

uint32_t cursor_address(const Registers& r) {
  return r.crtc[crtc::kCursorHigh] << 8u | r.crtc[crtc::kCursorLow];
}

}  // namespace

TextPainter::TextPainter(const Registers& r, const Mode& mode, Blink blink, std::span<const uint8_t> memory,
                         const std::array<uint32_t, 16>& colours)
    : memory_(memory),
      colours_(colours),
      dots_(mode.dots),
      rows_(mode.rows),
      blink_(blink),
      blinking_((r.attribute[attribute::kMode] & attribute::kBlink) != 0),
      line_graphics_((r.attribute[attribute::kMode] & attribute::kLineGraphics) != 0),
      underline_(r.crtc[crtc::kUnderline] & 0x1fu),
      cursor_((r.crtc[crtc::kCursorStart] & crtc::kCursorOff) == 0 && blink.cursor),
      cursor_at_(cursor_address(r)),
      cursor_first_(r.crtc[crtc::kCursorStart] & 0x1fu),
      cursor_last_(r.crtc[crtc::kCursorEnd] & 0x1fu) {
  const unsigned select = r.sequencer[sequencer::kFontSelect];
  fonts_ = {font_offset(select & 3, select >> 4 & 1), font_offset(select >> 2 & 3, select >> 5 & 1)};
}

uint8_t TextPainter::glyph_row(uint8_t character, uint8_t attributes, uint32_t row) const {
  const uint32_t font = fonts_[attributes >> 3 & 1];
  const uint32_t index = (font + character * kGlyphBytes + (row & (kGlyphBytes - 1))) & (kPlaneBytes - 1);
  return memory_[size_t{index} * 4 + 2];
}

bool TextPainter::at_cursor(uint32_t count, uint32_t row) const {
  return cursor_ && (count & 0xffff) == cursor_at_ && row >= cursor_first_ && row <= cursor_last_;
}

void TextPainter::draw(const uint8_t* planes, uint32_t count, uint32_t row, uint32_t* to) const {
  const uint8_t character = planes[0], attributes = planes[1];
  unsigned bits = unsigned{glyph_row(character, attributes, row)} << 1;
  if (line_graphics_ && (character & 0xe0) == 0xc0) bits |= bits >> 1 & 1;
  if (row == underline_ && (attributes & 0x77) == 0x01) bits = 0x1ff;
  const bool blinks = blinking_ && (attributes & 0x80) != 0;
  if (blinks && !blink_.characters) bits = 0;
  if (at_cursor(count, row)) bits = 0x1ff;

  const uint32_t foreground = colours_[attributes & 0x0f];
  const uint32_t background = colours_[attributes >> 4 & (blinking_ ? 0x07 : 0x0f)];
  for (uint32_t dot = 0; dot < dots_; ++dot) to[dot] = (bits >> (8 - dot) & 1) != 0 ? foreground : background;
}

}  // namespace eidolon::device::display
