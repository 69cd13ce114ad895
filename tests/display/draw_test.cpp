// Pictures against what they must look like.
#include "device/display/draw.h"
#include "device/display/font.h"
#include "display/fixture.h"

namespace eidolon::device::display {
namespace {

class DrawTest : public VgaTest {
 protected:
  DrawTest() { write_text_screen(memory); }
  const Surface& draw(Blink blink = {.cursor = false, .characters = true}) {
    const Mode mode = mode_of(r, static_cast<uint32_t>(memory.size()));
    surface.resize(mode.width, mode.height);
    draw_legacy(r, mode, blink, memory, surface);
    return surface;
  }
  /// Puts a character on the text screen.
  void print(unsigned column, unsigned row, char character, uint8_t attributes) {
    poke(0xb8000 + (row * 80 + column) * 2, static_cast<uint8_t>(character));
    poke(0xb8001 + (row * 80 + column) * 2, attributes);
  }
  uint32_t dot(uint32_t x, uint32_t y) { return surface.line(y)[x]; }
  Surface surface;
};

constexpr uint32_t kBlue = 0x0000aa, kWhite = 0xffffff, kYellow = 0xffff55, kBlack = 0, kGrey = 0xaaaaaa;

TEST_F(DrawTest, TextIsGlyphsInTheirColours) {
  print(2, 1, 'A', 0x1f);
  draw();
  ASSERT_EQ(surface.width, 720u);
  ASSERT_EQ(surface.height, 400u);
  for (uint32_t row = 0; row < 16; ++row) {
    const uint8_t bits = kFont8x16['A' * 16 + row];
    for (uint32_t x = 0; x < 8; ++x)
      EXPECT_EQ(dot(18 + x, 16 + row), (bits >> (7 - x) & 1) != 0 ? kWhite : kBlue) << x << " " << row;
    EXPECT_EQ(dot(26, 16 + row), kBlue) << "the ninth dot";
  }
}

TEST_F(DrawTest, TheNinthDotContinuesLines) {
  print(0, 0, '\xc4', 0x0f);  // a horizontal line
  print(1, 0, '\xb3', 0x0f);  // a vertical one
  draw();
  const uint8_t* glyph = &kFont8x16[0xc4 * 16];
  for (uint32_t row = 0; row < 16; ++row) EXPECT_EQ(dot(8, row), (glyph[row] & 1) != 0 ? kWhite : kBlack);
  for (uint32_t row = 0; row < 16; ++row) EXPECT_EQ(dot(17, row), kBlack);
}

TEST_F(DrawTest, TheCursorBlinksWhereItIsPut) {
  crtc_write(0x0e, 0);
  crtc_write(0x0f, 81);
  draw({.cursor = true, .characters = true});
  EXPECT_EQ(dot(9, 16 + 13), kGrey);
  EXPECT_EQ(dot(9, 16 + 14), kGrey);
  EXPECT_EQ(dot(9, 16 + 15), kBlack);
  draw({.cursor = false, .characters = true});
  EXPECT_EQ(dot(9, 16 + 13), kBlack);
  crtc_write(0x0a, 0x2d);
  draw({.cursor = true, .characters = true});
  EXPECT_EQ(dot(9, 16 + 13), kBlack) << "switched off";
}

TEST_F(DrawTest, TheTopAttributeBitIsBlinkingOrBrightness) {
  print(0, 0, '\xdb', 0x9e);  // a full block
  print(1, 0, ' ', 0x9e);
  attribute_write(0x10, 0x04);
  draw();
  EXPECT_EQ(dot(9, 0), 0x5555ffu) << "bright blue";
  attribute_write(0x10, 0x0c);
  draw({.cursor = false, .characters = false});
  EXPECT_EQ(dot(0, 0), kBlue);
  draw({.cursor = false, .characters = true});
  EXPECT_EQ(dot(0, 0), kYellow);
}

TEST_F(DrawTest, ASecondFontAndEightDots) {
  sequencer_write(1, 0x01);
  sequencer_write(3, 0x04);  // attribute bit 3 chooses the font at 16 KiB
  memory[(0x4000 + 'A' * 32) * 4 + 2] = 0x80;
  print(0, 0, 'A', 0x0f);
  draw();
  ASSERT_EQ(surface.width, 640u);
  EXPECT_EQ(dot(0, 0), kWhite);
  EXPECT_EQ(dot(1, 0), kBlack);
}

TEST_F(DrawTest, ScrollingByStartAddressAndSplit) {
  print(0, 1, '\xdb', 0x0f);
  print(0, 0, '\xdb', 0x0e);
  crtc_write(0x0d, 80);
  crtc_write(0x11, 0x0e);
  crtc_write(0x18, 31);  // the picture starts over behind line 31
  crtc_write(0x07, 0x0f);
  crtc_write(0x09, 0x0f);
  draw();
  EXPECT_EQ(dot(0, 0), kWhite);
  EXPECT_EQ(dot(0, 16), kBlack);
  EXPECT_EQ(dot(0, 32), kYellow);
}

TEST_F(DrawTest, PlanarDotsAndPanning) {
  std::ranges::fill(memory, 0);
  set_planar();
  graphics_write(5, 0x02);
  graphics_write(8, 0x40);
  poke(0xa0000 + 80 * 3, 0x0e);
  draw();
  ASSERT_EQ(surface.width, 640u);
  ASSERT_EQ(surface.height, 480u);
  EXPECT_EQ(dot(1, 3), kYellow);
  EXPECT_EQ(dot(0, 3), kBlack);
  EXPECT_EQ(dot(2, 3), kBlack);
  attribute_write(0x13, 1);
  draw();
  EXPECT_EQ(dot(0, 3), kYellow);
}

TEST_F(DrawTest, TwoHundredFiftySixColoursAreDoubled) {
  set_256_colours();
  out(0x3c8, 200);
  for (const uint8_t part : {0x3f, 0x00, 0x20}) out(0x3c9, part);
  poke(0xa0000 + 320 * 2 + 5, 200);
  draw();
  ASSERT_EQ(surface.width, 640u);
  ASSERT_EQ(surface.height, 400u);
  EXPECT_EQ(dot(10, 4), 0xff0082u);
  EXPECT_EQ(dot(11, 5), 0xff0082u);
  EXPECT_NE(dot(12, 4), 0xff0082u);
  EXPECT_NE(dot(10, 6), 0xff0082u);
}

TEST_F(DrawTest, CgaColoursInterleaveTwoBanksOfLines) {
  std::ranges::fill(memory, 0);
  r = text_mode_registers();
  sequencer_write(1, 0x09);
  sequencer_write(2, 0x03);
  graphics_write(5, 0x30);
  graphics_write(6, 0x0f);
  crtc_write(0x11, 0x0e);
  const uint8_t crtc[] = {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
                          0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff};
  write_crtc(crtc);
  attribute_write(0x13, 0x00);
  poke(0xb8000, 0x1b);  // colours 0 1 2 3
  poke(0xb8001, 0xc0);  // colour 3 on the fifth dot
  poke(0xba000, 0x40);  // line 1: colour 1
  draw();
  ASSERT_EQ(surface.width, 640u);
  ASSERT_EQ(surface.height, 400u);
  EXPECT_EQ(dot(0, 0), kBlack);
  EXPECT_EQ(dot(2, 0), 0x0000aau);
  EXPECT_EQ(dot(4, 0), 0x00aa00u);
  EXPECT_EQ(dot(6, 1), 0x00aaaau);
  EXPECT_EQ(dot(8, 0), 0x00aaaau);
  EXPECT_EQ(dot(0, 2), 0x0000aau);
  EXPECT_EQ(dot(2, 2), kBlack);
}

TEST_F(DrawTest, ABlankScreenIsBlack) {
  print(0, 0, '\xdb', 0x0f);
  (void)in(0x3da);
  out(0x3c0, 0x00);
  draw();
  EXPECT_EQ(dot(0, 0), kBlack);
}

TEST_F(DrawTest, PackedDots) {
  const uint8_t bytes[] = {0x1f, 0x7c, 0xe0, 0x07, 0x12, 0x34, 0x56, 0x78};
  std::vector<uint32_t> line(1);
  draw_packed_line(r, {.width = 1, .bits = 15}, bytes, line);
  EXPECT_EQ(line[0], 0xff00ffu);
  draw_packed_line(r, {.width = 1, .bits = 16}, std::span(bytes).subspan(2), line);
  EXPECT_EQ(line[0], 0x00ff00u);
  draw_packed_line(r, {.width = 1, .bits = 24}, std::span(bytes).subspan(4), line);
  EXPECT_EQ(line[0], 0x563412u);
  draw_packed_line(r, {.width = 1, .bits = 32}, std::span(bytes).subspan(4), line);
  EXPECT_EQ(line[0], 0x563412u);
}

}  // namespace
}  // namespace eidolon::device::display
