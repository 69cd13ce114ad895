#include "device/display/text_mode.h"

#include "device/display/font.h"

namespace eidolon::device::display {

namespace {

/// The EGA's 64 colours: the low three bits are two thirds of blue, green and red, the high three one third.
std::array<uint8_t, 3> ega_colour(unsigned index) {
  std::array<uint8_t, 3> colour{};
  for (unsigned i = 0; i < 3; ++i) {
    const unsigned component = 2 - i;  // red comes first in the DAC, and last in the index
    colour[i] = static_cast<uint8_t>((index >> component & 1) * 0x2a + (index >> (component + 3) & 1) * 0x15);
  }
  return colour;
}

}  // namespace

Registers text_mode_registers() {
  Registers r = power_on_registers();
  r.miscellaneous = 0x67;
  r.sequencer = {0x03, 0x00, 0x03, 0x00, 0x02};
  r.crtc = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
            0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
  r.graphics = {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff};
  r.attribute = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
                 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};
  r.attribute_index = attribute::kPaletteOn;
  for (unsigned i = 0; i < 64; ++i) {
    const auto colour = ega_colour(i);
    std::copy(colour.begin(), colour.end(), r.palette.begin() + i * 3);
  }
  return r;
}

void write_text_screen(std::span<uint8_t> memory) {
  constexpr unsigned kGlyphBytes = 32, kCells = 0x4000;
  constexpr uint8_t kSpace = ' ', kGrey = 0x07;
  for (unsigned glyph = 0; glyph < kGlyphs; ++glyph)
    for (unsigned row = 0; row < kGlyphRows; ++row)
      memory[(glyph * kGlyphBytes + row) * 4 + 2] = kFont8x16[glyph * kGlyphRows + row];
  for (unsigned cell = 0; cell < kCells; ++cell) {  // every second byte of planes 0 and 1
    memory[cell * 8] = kSpace;
    memory[cell * 8 + 1] = kGrey;
  }
}

}  // namespace eidolon::device::display
