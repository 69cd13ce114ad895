// The window: write modes, read modes, latches, chains and banks.
#include "device/display/vbe.h"
#include "display/fixture.h"

namespace eidolon::device::display {
namespace {

constexpr uint32_t kAt = 0xa0123, kIndex = 0x123;

TEST_F(VgaTest, TextGoesToPlanesZeroAndOneInTurn) {
  poke(0xb8000, 'A');
  poke(0xb8001, 0x1f);
  poke(0xb8002, 'B');
  EXPECT_EQ(plane(0, 0), 'A');
  EXPECT_EQ(plane(1, 0), 0x1f);
  EXPECT_EQ(plane(0, 2), 'B');
  EXPECT_EQ(peek(0xb8001), 0x1f);
  EXPECT_EQ(peek(0xb8002), 'B');
  EXPECT_EQ(peek(0xa0000), 0xff) << "nothing is there";
  EXPECT_EQ(peek(0xb0000), 0xff);
}

TEST_F(VgaTest, WithoutRamAccessNothingAnswers) {
  out(0x3c2, 0x65);
  poke(0xb8000, 'A');
  EXPECT_EQ(peek(0xb8000), 0xff);
  EXPECT_EQ(plane(0, 0), 0);
}

TEST_F(VgaTest, AFontIsWrittenIntoPlaneTwo) {
  sequencer_write(2, 0x04);
  sequencer_write(4, 0x06);
  graphics_write(4, 0x02);
  graphics_write(5, 0x00);
  graphics_write(6, 0x00);
  poke(0xa0000 + 'A' * 32 + 3, 0x5a);
  EXPECT_EQ(plane(2, 'A' * 32 + 3), 0x5a);
  EXPECT_EQ(peek(0xa0000 + 'A' * 32 + 3), 0x5a);
}

TEST_F(VgaTest, WriteModeZeroRotatesSetsAndMasks) {
  set_planar();
  poke(kAt, 0xff);
  (void)peek(kAt);
  graphics_write(3, 0x01);  // rotate by one
  graphics_write(1, 0x08);  // plane 3 from set/reset ...
  graphics_write(0, 0x00);  // ... which is zero
  graphics_write(8, 0xf0);
  sequencer_write(2, 0x0b);  // not plane 2
  poke(kAt, 0x02);
  EXPECT_EQ(plane(0, kIndex), 0x0f) << "the upper half is 0x01's, the lower the latch's";
  EXPECT_EQ(plane(1, kIndex), 0x0f);
  EXPECT_EQ(plane(2, kIndex), 0xff);
  EXPECT_EQ(plane(3, kIndex), 0x0f);
}

TEST_F(VgaTest, TheFunctionsCombineWithTheLatches) {
  set_planar();
  const uint8_t expected[] = {0x3c, 0x3c & 0x55, 0x3c | 0x55, 0x3c ^ 0x55};
  for (uint8_t function = 0; function < 4; ++function) {
    graphics_write(3, 0);
    poke(kAt, 0x55);
    (void)peek(kAt);
    graphics_write(3, static_cast<uint8_t>(function << 3));
    poke(kAt, 0x3c);
    EXPECT_EQ(plane(1, kIndex), expected[function]) << unsigned{function};
  }
}

TEST_F(VgaTest, WriteModeOneCopiesTheLatches) {
  set_planar();
  for (uint8_t p = 0; p < 4; ++p) {
    sequencer_write(2, static_cast<uint8_t>(1u << p));
    poke(kAt, static_cast<uint8_t>(0x11 * (p + 1)));
  }
  sequencer_write(2, 0x0f);
  (void)peek(kAt);
  graphics_write(5, 0x01);
  poke(kAt + 1, 0x99);
  for (unsigned p = 0; p < 4; ++p) EXPECT_EQ(plane(p, kIndex + 1), 0x11 * (p + 1));
}

TEST_F(VgaTest, WriteModeTwoPaintsAColour) {
  set_planar();
  (void)peek(kAt);
  graphics_write(5, 0x02);
  graphics_write(8, 0x80);
  poke(kAt, 0x05);
  EXPECT_EQ(plane(0, kIndex), 0x80);
  EXPECT_EQ(plane(1, kIndex), 0x00);
  EXPECT_EQ(plane(2, kIndex), 0x80);
}

TEST_F(VgaTest, WriteModeThreeUsesTheByteAsAMask) {
  set_planar();
  (void)peek(kAt);
  graphics_write(5, 0x03);
  graphics_write(0, 0x06);
  graphics_write(8, 0x0f);
  poke(kAt, 0x3c);
  EXPECT_EQ(plane(0, kIndex), 0x00);
  EXPECT_EQ(plane(1, kIndex), 0x0c);
  EXPECT_EQ(plane(2, kIndex), 0x0c);
}

TEST_F(VgaTest, ReadModeOneFindsAColour) {
  set_planar();
  graphics_write(5, 0x02);
  for (unsigned dot = 0; dot < 8; ++dot) {
    (void)peek(kAt);
    graphics_write(8, static_cast<uint8_t>(0x80 >> dot));
    poke(kAt, static_cast<uint8_t>(dot));
  }
  graphics_write(5, 0x08);
  graphics_write(2, 0x03);
  graphics_write(7, 0x0f);
  EXPECT_EQ(peek(kAt), 0x10);
  graphics_write(7, 0x03);
  EXPECT_EQ(peek(kAt), 0x11) << "plane 2 does not count: dots 3 and 7";
}

TEST_F(VgaTest, ChainFourIsLinearAndUnchainedPlanesShowThrough) {
  set_256_colours();
  for (unsigned i = 0; i < 8; ++i) poke(0xa0000 + i, static_cast<uint8_t>(i + 1));
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(memory[i], i + 1);
  EXPECT_EQ(peek(0xa0005), 6);
  sequencer_write(4, 0x06);  // mode X
  graphics_write(4, 0x02);
  EXPECT_EQ(peek(0xa0001), 7);
}

TEST_F(VgaTest, TheBochsInterfaceBanksItsMemoryIntoTheWindow) {
  const auto size = static_cast<uint32_t>(memory.size());
  (void)write_vbe(r, vbe::kWidth, 640, size);
  (void)write_vbe(r, vbe::kHeight, 480, size);
  (void)write_vbe(r, vbe::kBits, 8, size);
  (void)write_vbe(r, vbe::kEnable, vbe::kEnabled, size);
  (void)write_vbe(r, vbe::kBank, 3, size);
  poke(0xa0010, 0x77);
  EXPECT_EQ(memory[0x30010], 0x77);
  (void)write_vbe(r, vbe::kBank, 0xffff, size);
  EXPECT_EQ(read_vbe(r, vbe::kBank, size), 15) << "as many banks as there are";
}

}  // namespace
}  // namespace eidolon::device::display
