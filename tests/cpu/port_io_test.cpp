#include "cpu/port_io.h"

#include "cpu/fixture.h"

namespace eidolon::cpu {

namespace {

using namespace x86;
using Access = RecordingDevice::Access;

class Ports : public CpuTest {
 protected:
  /// Puts the I/O permission bitmap at 0x68 into the TSS, every port forbidden but `allowed`.
  void permission_map(uint16_t allowed) {
    put<uint16_t>(kTss + 102, 0x68);
    const std::vector<uint8_t> ones(0x2001, 0xff);
    ASSERT_TRUE(memory->write(kTss + 0x68, ones.data(), ones.size()));
    put<uint8_t>(kTss + 0x68 + allowed / 8, static_cast<uint8_t>(~(1u << (allowed % 8))));
  }
};

TEST_F(Ports, WidthsAndRegisters) {
  long_mode();
  state.gpr[kRax] = 0xffffffffffffffff;
  state.gpr[kRdx] = 0x104;
  ASSERT_TRUE(run({0xec}));  // in al, dx
  EXPECT_EQ(state.gpr[kRax], 0xffffffffffffff11);
  ASSERT_TRUE(run({0x66, 0xed}));
  EXPECT_EQ(state.gpr[kRax], 0xffffffffffff2211);
  ASSERT_TRUE(run({0xed}));
  EXPECT_EQ(state.gpr[kRax], 0x44332211u);
  EXPECT_EQ(device.reads, (std::vector<Access>{{4, 1, 0}, {4, 2, 0}, {4, 4, 0}}));
  state.gpr[kRax] = 0x123456789abcdef0;
  ASSERT_TRUE(run({0xef}));  // out dx, eax
  ASSERT_TRUE(run({0xee}));
  EXPECT_EQ(device.writes, (std::vector<Access>{{4, 4, 0x9abcdef0}, {4, 1, 0xf0}}));
  ASSERT_TRUE(run({0xe4, 0xf0}));  // nobody answers at port 0xf0
  EXPECT_EQ(state.gpr[kRax] & 0xff, 0xffu);
}

TEST_F(Ports, RexWMakesNoWiderAccess) {
  long_mode();
  state.gpr[kRdx] = 0x104;
  ASSERT_TRUE(run({0x48, 0xed}));
  ASSERT_TRUE(run({0x48, 0xef}));
  EXPECT_EQ(device.reads, (std::vector<Access>{{4, 4, 0}}));
  EXPECT_EQ(device.writes, (std::vector<Access>{{4, 4, 0x44332211}}));
}

TEST_F(Ports, PermissionBitmap) {
  protected_mode(3);
  permission_map(0x104);
  EXPECT_TRUE(check_io_permission(*cpu, 0x104, 1));
  EXPECT_EQ(vector_of(check_io_permission(*cpu, 0x104, 2)), kGeneralProtection);
  EXPECT_EQ(vector_of(check_io_permission(*cpu, 0x105, 1)), kGeneralProtection);
  state.rflags |= kFlagIopl;
  EXPECT_TRUE(check_io_permission(*cpu, 0x105, 4));
}

TEST_F(Ports, PermissionBitmapAcrossABytesEnd) {
  protected_mode(3);
  permission_map(0x107);
  EXPECT_TRUE(check_io_permission(*cpu, 0x107, 1));
  EXPECT_EQ(vector_of(check_io_permission(*cpu, 0x107, 2)), kGeneralProtection);
  put<uint8_t>(kTss + 0x68 + 0x108 / 8, 0xfe);
  EXPECT_TRUE(check_io_permission(*cpu, 0x107, 2));
}

TEST_F(Ports, PermissionBitmapBeyondTheLimitForbids) {
  protected_mode(3);
  permission_map(0x104);
  state.tr.limit = 0x68 + 0x104 / 8;  // the second byte is outside
  EXPECT_EQ(vector_of(check_io_permission(*cpu, 0x104, 1)), kGeneralProtection);
  state.tr.limit = 102;
  EXPECT_EQ(vector_of(check_io_permission(*cpu, 0x104, 1)), kGeneralProtection);
  state.tr.limit = 0x2fff;
  state.tr.attributes = kAttrPresent | kTss16Busy;
  EXPECT_EQ(vector_of(check_io_permission(*cpu, 0x104, 1)), kGeneralProtection);
}

TEST_F(Ports, Virtual8086AlwaysAsksTheBitmap) {
  virtual_8086(3);
  permission_map(0x104);
  EXPECT_TRUE(check_io_permission(*cpu, 0x104, 1));
  EXPECT_EQ(vector_of(check_io_permission(*cpu, 0x100, 1)), kGeneralProtection);
}

TEST_F(Ports, RepeatedInput) {
  long_mode();
  state.gpr[kRdx] = 0x100;
  state.gpr[kRdi] = kData;
  state.gpr[kRcx] = 3;
  ASSERT_TRUE(run({0xf3, 0x66, 0x6d}));  // rep insw
  EXPECT_EQ(get<uint64_t>(kData), 0x0000221122112211u);
  EXPECT_EQ(state.gpr[kRdi], kData + 6);
  EXPECT_EQ(state.gpr[kRcx], 0u);
  EXPECT_EQ(state.rip, kCode + 3);
}

TEST_F(Ports, RepeatedOutputBackwardsIn16BitAddresses) {
  real_mode();
  put<uint32_t>(0xffff, 0xaa);  // DS:FFFF, then DS:FFFE
  put<uint8_t>(0xfffe, 0xbb);
  state.rflags |= kFlagDf;
  state.gpr[kRdx] = 0x100;
  state.gpr[kRsi] = 0x5555ffff;
  state.gpr[kRcx] = 0x77770002;
  ASSERT_TRUE(run({0xf3, 0x6e}));  // rep outsb
  EXPECT_EQ(device.writes, (std::vector<Access>{{0, 1, 0xaa}, {0, 1, 0xbb}}));
  EXPECT_EQ(state.gpr[kRsi], 0x5555fffdu);
  EXPECT_EQ(state.gpr[kRcx], 0x77770000u);
}

TEST_F(Ports, ALongRepeatComesUpForAir) {
  long_mode();
  state.gpr[kRdx] = 0x100;
  state.gpr[kRdi] = kData;
  state.gpr[kRcx] = 1000;
  ASSERT_TRUE(run({0xf3, 0x6c}));
  EXPECT_EQ(state.rip, kCode);
  const uint64_t done = 1000 - state.gpr[kRcx];
  EXPECT_GT(done, 0u);
  EXPECT_LT(done, 1000u);
  EXPECT_EQ(state.gpr[kRdi], kData + done);
}

TEST_F(Ports, AFaultBetweenIterationsKeepsTheOnesBefore) {
  protected_mode();
  state.segment[kEs].limit = kData + 1;
  state.gpr[kRdx] = 0x100;
  state.gpr[kRdi] = kData;
  state.gpr[kRcx] = 4;
  EXPECT_EQ(vector_of(run({0xf3, 0x6c})), kGeneralProtection);
  EXPECT_EQ(state.gpr[kRcx], 2u);
  EXPECT_EQ(device.reads.size(), 2u);
  EXPECT_EQ(state.rip, kCode);
}

TEST_F(Ports, AZeroCountDoesNothingButMoveOn) {
  long_mode();
  state.gpr[kRcx] = 0;
  state.gpr[kRdx] = 0x100;
  ASSERT_TRUE(run({0xf3, 0x6e}));
  EXPECT_TRUE(device.writes.empty());
  EXPECT_EQ(state.rip, kCode + 2);
}

}  // namespace

}  // namespace eidolon::cpu
