// The ports and the Bochs interface.
#include "device/display/vbe.h"
#include "display/fixture.h"

namespace eidolon::device::display {
namespace {

TEST_F(VgaTest, IndexedRegistersKeepTheBitsThatExist) {
  sequencer_write(2, 0xff);
  EXPECT_EQ(in(0x3c5), 0x0f);
  graphics_write(5, 0xff);
  EXPECT_EQ(in(0x3cf), 0x7b);
  out(0x3ce, 0x0f);
  out(0x3cf, 0x55);
  EXPECT_EQ(in(0x3cf), 0x00) << "there is no such register";
}

TEST_F(VgaTest, TheCrtcMovesWithTheMonitorsKind) {
  out(0x3d4, 0x0f);
  EXPECT_EQ(in(0x3d4), 0x0f);
  EXPECT_EQ(in(0x3b4), 0xff);
  out(0x3c2, 0x66);  // monochrome
  EXPECT_EQ(in(0x3b4), 0x0f);
  EXPECT_EQ(in(0x3d4), 0xff);
}

TEST_F(VgaTest, ProtectedCrtcRegistersKeepTheirValueButForTheLineCompareBit) {
  crtc_write(0x11, 0x8e);
  crtc_write(0x01, 0x12);
  EXPECT_EQ(r.crtc[1], 0x4f);
  crtc_write(0x07, 0x00);
  EXPECT_EQ(r.crtc[7], 0x1f & ~0x10);
  crtc_write(0x12, 0x34);
  EXPECT_EQ(r.crtc[0x12], 0x34) << "only 0 to 7 are protected";
}

TEST_F(VgaTest, TheAttributeControllersPortAlternatesUntilStatusIsRead) {
  (void)in(0x3da);
  out(0x3c0, 0x05);
  out(0x3c0, 0x2a);
  EXPECT_EQ(r.attribute[5], 0x2a);
  out(0x3c0, 0x06);
  (void)in(0x3da);
  out(0x3c0, 0x25);
  EXPECT_EQ(in(0x3c1), 0x2a) << "the index again, not data";
}

TEST_F(VgaTest, ThePaletteTakesEffectWithBlueAndCountsOn) {
  out(0x3c8, 10);
  out(0x3c9, 0xff);
  out(0x3c9, 0x01);
  EXPECT_NE(r.palette[30], 0x3f);
  out(0x3c9, 0x02);
  out(0x3c9, 0x04);
  EXPECT_EQ(r.palette[30], 0x3f) << "six bits";
  EXPECT_EQ(r.palette[31], 0x01);
  EXPECT_EQ(in(0x3c8), 11);
  out(0x3c7, 10);
  EXPECT_EQ(in(0x3c7), 3) << "reading";
  EXPECT_EQ(in(0x3c9), 0x3f);
  EXPECT_EQ(in(0x3c9), 0x01);
  EXPECT_EQ(in(0x3c9), 0x02);
  EXPECT_EQ(in(0x3c8), 11);
}

TEST_F(VgaTest, StatusOneTellsWhereTheBeamIs) {
  EXPECT_EQ(in(0x3da) & 9, 0) << "the first dot is shown";
  // Mode 3: 449 lines of 900 dots at 28.322 MHz; retrace from line 412 on, for 2 lines.
  now = static_cast<int64_t>(412.5 * 900 / 0.028322);
  EXPECT_EQ(in(0x3da) & 9, 9);
  now = static_cast<int64_t>(405 * 900 / 0.028322);
  EXPECT_EQ(in(0x3da) & 9, 1);
  now = INT64_MAX;
  (void)in(0x3da);
}

constexpr uint32_t kMemory = 16 << 20;

class VbeTest : public testing::Test {
 protected:
  VbeEffect set(unsigned index, uint16_t value) { return write_vbe(r, index, value, kMemory); }
  [[nodiscard]] uint16_t get(unsigned index) const { return read_vbe(r, index, kMemory); }
  VbeEffect enable(uint16_t width, uint16_t height, uint16_t bits, uint16_t flags = 0x41) {
    set(vbe::kEnable, 0);
    set(vbe::kWidth, width);
    set(vbe::kHeight, height);
    set(vbe::kBits, bits);
    return set(vbe::kEnable, flags);
  }
  Registers r = text_mode_registers();
};

TEST_F(VbeTest, SaysWhatItIsAndTakesOlderVersions) {
  EXPECT_EQ(get(vbe::kId), 0xb0c5);
  set(vbe::kId, 0xb0c2);
  EXPECT_EQ(get(vbe::kId), 0xb0c2);
  set(vbe::kId, 0x1234);
  EXPECT_EQ(get(vbe::kId), 0xb0c2);
  EXPECT_EQ(get(vbe::kMemory64K), 256);
  EXPECT_EQ(get(99), 0);
}

TEST_F(VbeTest, EnablingSetsTheVirtualScreenAndAsksForAClearOne) {
  EXPECT_EQ(enable(1024, 768, 32), VbeEffect::kClearScreen);
  EXPECT_EQ(get(vbe::kVirtualWidth), 1024);
  EXPECT_EQ(get(vbe::kVirtualHeight), 4096) << "as many lines as the memory has";
  EXPECT_EQ(vbe_pitch(r), 4096u);
  EXPECT_EQ(enable(1024, 768, 32, 0xc1), VbeEffect::kNone);
  set(vbe::kWidth, 640);
  EXPECT_EQ(get(vbe::kWidth), 1024) << "not while it is on";
}

TEST_F(VbeTest, LimitsAreAnsweredInsteadOfSizes) {
  set(vbe::kEnable, vbe::kGetLimits);
  EXPECT_EQ(get(vbe::kWidth), 16000);
  EXPECT_EQ(get(vbe::kBits), 32);
}

TEST_F(VbeTest, WhateverIsAskedForFitsTheMemory) {
  for (const uint16_t bits : {0, 4, 8, 15, 16, 24, 32, 77}) {
    for (const uint16_t size : {0, 1, 7, 640, 1366, 16000, 65535}) {
      enable(size, size, bits);
      set(vbe::kVirtualWidth, static_cast<uint16_t>(size * 3));
      set(vbe::kXOffset, 65535);
      set(vbe::kYOffset, 65535);
      const Mode mode = mode_of(r, kMemory);
      const uint64_t width_bytes =
          r.vbe[vbe::kBits] == 4 ? mode.width / 8 * 4 : mode.width * ((mode.bits + 7) / 8);
      const uint64_t start = mode.kind == ModeKind::kPacked ? mode.start_byte : uint64_t{mode.start} * 4;
      EXPECT_GT(mode.width, 0u);
      EXPECT_GT(mode.height, 0u);
      EXPECT_LE(start + uint64_t{vbe_pitch(r)} * (mode.height - 1) + width_bytes, kMemory)
          << bits << " bits, " << size;
    }
  }
}

}  // namespace
}  // namespace eidolon::device::display
