// PUSHF, POPF, CLI, STI, CLAC, STAC at every privilege.
#include "cpu/fixture.h"

namespace eidolon::cpu {

namespace {

using namespace x86;

class Flags : public CpuTest {
 protected:
  /// POPF of `value` from the stack, in the code's default operand size.
  Outcome<> pop(uint64_t value) {
    put<uint64_t>(kData, value);
    state.gpr[kRsp] = kData;
    return run({0x9d});
  }
  static constexpr uint64_t kAll = ~uint64_t{0};
};

TEST_F(Flags, PushClearsRfAndVm) {
  long_mode();
  state.rflags = kFlagFixed | kFlagRf | kFlagIf | kFlagAc | kFlagCf;
  ASSERT_TRUE(run({0x9c}));
  EXPECT_EQ(get<uint64_t>(kStackTop - 8), kFlagFixed | kFlagIf | kFlagAc | kFlagCf);
  EXPECT_EQ(state.gpr[kRsp], kStackTop - 8);
}

TEST_F(Flags, RingZeroPopsAllButVmRfAndVirtualFlags) {
  long_mode();
  state.rflags |= kFlagRf;
  ASSERT_TRUE(pop(kAll));
  EXPECT_EQ(state.rflags, kFlagFixed | (kFlagsDefined & ~(kFlagRf | kFlagVm | kFlagVif | kFlagVip)));
  EXPECT_EQ(state.gpr[kRsp], kData + 8);
}

TEST_F(Flags, UserCodeKeepsIoplAndIf) {
  long_mode(3);
  ASSERT_TRUE(pop(kAll));
  EXPECT_EQ(state.rflags & (kFlagIopl | kFlagIf), 0u);
  state.rflags |= kFlagIopl;
  ASSERT_TRUE(pop(kFlagIf));
  EXPECT_EQ(state.rflags, kFlagFixed | kFlagIopl | kFlagIf);
}

TEST_F(Flags, SixteenBitPopLeavesTheUpperHalf) {
  long_mode();
  state.rflags |= kFlagAc | kFlagId;
  put<uint16_t>(kData, 0xffff);
  state.gpr[kRsp] = kData;
  ASSERT_TRUE(run({0x66, 0x9d}));
  EXPECT_EQ(state.rflags, kFlagFixed | kFlagAc | kFlagId | kFlagsArithmetic | kFlagTf | kFlagIf | kFlagDf |
                              kFlagIopl | kFlagNt);
}

TEST_F(Flags, AFaultingPopChangesNothing) {
  long_mode();
  state.gpr[kRsp] = uint64_t{1} << 62;
  EXPECT_EQ(vector_of(run({0x9d})), kStackFault);
  EXPECT_EQ(state.rflags, kFlagFixed);
  EXPECT_EQ(state.gpr[kRsp], uint64_t{1} << 62);
}

TEST_F(Flags, Virtual8086NeedsIopl3) {
  virtual_8086(0);
  EXPECT_EQ(vector_of(run({0x9c})), kGeneralProtection);
  EXPECT_EQ(vector_of(run({0x9d})), kGeneralProtection);
  EXPECT_EQ(vector_of(run({0xfa})), kGeneralProtection);
  EXPECT_EQ(vector_of(run({0xfb})), kGeneralProtection);
  virtual_8086(3);
  ASSERT_TRUE(run({0xfb}));
  EXPECT_NE(state.rflags & kFlagIf, 0u);
  ASSERT_TRUE(run({0x9c}));
  put<uint16_t>(0x7ffe, 0);
  ASSERT_TRUE(run({0x9d}));
  EXPECT_EQ(state.rflags, kFlagFixed | kFlagVm | kFlagIopl);
}

TEST_F(Flags, VmeGivesVirtual8086AVirtualInterruptFlag) {
  virtual_8086(0);
  state.control.cr4 |= kCr4Vme;
  state.rflags |= kFlagIf;
  ASSERT_TRUE(run({0xfb}));  // sti
  EXPECT_NE(state.rflags & kFlagVif, 0u);
  ASSERT_TRUE(run({0x9c}));
  EXPECT_EQ(get<uint16_t>(0x7ffe), kFlagFixed | kFlagIf | kFlagIopl);
  put<uint16_t>(0x7ffe, kFlagCf);
  ASSERT_TRUE(run({0x9d}));
  EXPECT_EQ(state.rflags, kFlagFixed | kFlagVm | kFlagIf | kFlagCf);
  EXPECT_EQ(vector_of(run({0x66, 0x9c})), kGeneralProtection);  // pushfd

  state.rflags |= kFlagVip;
  EXPECT_EQ(vector_of(run({0xfb})), kGeneralProtection);
  state.gpr[kRsp] = 0x7ffe;
  put<uint16_t>(0x7ffe, kFlagIf);
  EXPECT_EQ(vector_of(run({0x9d})), kGeneralProtection);
  put<uint16_t>(0x7ffe, kFlagTf);
  EXPECT_EQ(vector_of(run({0x9d})), kGeneralProtection);
}

TEST_F(Flags, ProtectedModeVirtualInterrupts) {
  protected_mode(3);
  EXPECT_EQ(vector_of(run({0xfa})), kGeneralProtection);
  state.control.cr4 |= kCr4Pvi;
  ASSERT_TRUE(run({0xfb}));
  EXPECT_EQ(state.rflags, kFlagFixed | kFlagVif);
  ASSERT_TRUE(run({0xfa}));
  EXPECT_EQ(state.rflags, kFlagFixed);
}

TEST_F(Flags, StiCastsAShadowOnlyWhenItEnables) {
  long_mode();
  ASSERT_TRUE(run({0xfb}));
  EXPECT_EQ(state.interrupt_shadow, kCode + 1);
  EXPECT_FALSE(state.shadow_blocks_debug);
  state.interrupt_shadow = State::kNoShadow;
  ASSERT_TRUE(run({0xfb}));
  EXPECT_EQ(state.interrupt_shadow, State::kNoShadow);
}

TEST_F(Flags, SmapFlag) {
  if (!host_model().has(CpuidModel::Feature::kSmap)) GTEST_SKIP() << "the host has no SMAP";
  long_mode();
  ASSERT_TRUE(run({0x0f, 0x01, 0xcb}));  // stac
  EXPECT_NE(state.rflags & kFlagAc, 0u);
  ASSERT_TRUE(run({0x0f, 0x01, 0xca}));  // clac
  EXPECT_EQ(state.rflags & kFlagAc, 0u);
  long_mode(3);
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xcb})), kInvalidOpcode);
}

}  // namespace

}  // namespace eidolon::cpu
