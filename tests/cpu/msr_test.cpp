#include "cpu/msr.h"

#include "cpu/fixture.h"
#include "cpu/tsc.h"

namespace eidolon::cpu {

namespace {

using namespace x86;

class Msr : public CpuTest {
 protected:
  Msr() { long_mode(); }
  [[nodiscard]] uint64_t read(uint32_t msr) {
    const auto value = read_msr(*cpu, msr);
    EXPECT_TRUE(value.has_value()) << std::hex << msr;
    return value.value_or(~uint64_t{0});
  }
  [[nodiscard]] bool write_faults(uint32_t msr, uint64_t value) {
    return vector_of(write_msr(*cpu, msr, value)) == kGeneralProtection;
  }
};

TEST_F(Msr, InstructionsMoveHalves) {
  state.gpr[kRcx] = kMsrLstar;
  state.gpr[kRax] = 0xaaaaaaaa82345678;  // upper halves are ignored
  state.gpr[kRdx] = 0xbbbbbbbbffff8000;
  ASSERT_TRUE(run({0x0f, 0x30}));
  EXPECT_EQ(state.lstar, 0xffff800082345678);
  state.gpr[kRax] = state.gpr[kRdx] = ~uint64_t{0};
  ASSERT_TRUE(run({0x0f, 0x32}));
  EXPECT_EQ(state.gpr[kRax], 0x82345678u);
  EXPECT_EQ(state.gpr[kRdx], 0xffff8000u);
}

TEST_F(Msr, UnknownOnesFaultBothWays) {
  EXPECT_EQ(vector_of(read_msr(*cpu, 0x12345)), kGeneralProtection);
  EXPECT_TRUE(write_faults(0x12345, 0));
  EXPECT_EQ(vector_of(read_msr(*cpu, kMsrSpecCtrl)), kGeneralProtection);
  EXPECT_TRUE(write_faults(kMsrArchCapabilities, 0));
  EXPECT_EQ(vector_of(read_msr(*cpu, kMsrXss)), kGeneralProtection);
}

TEST_F(Msr, AddressesMustBeCanonical) {
  constexpr uint64_t kBad = uint64_t{1} << 47;
  EXPECT_TRUE(write_faults(kMsrLstar, kBad));
  EXPECT_TRUE(write_faults(kMsrCstar, kBad));
  EXPECT_TRUE(write_faults(kMsrFsBase, kBad));
  EXPECT_TRUE(write_faults(kMsrGsBase, kBad));
  EXPECT_TRUE(write_faults(kMsrKernelGsBase, kBad));
  EXPECT_TRUE(write_faults(kMsrSysenterEsp, kBad));
  EXPECT_TRUE(write_faults(kMsrSysenterEip, kBad));
  EXPECT_FALSE(write_faults(kMsrGsBase, 0xffff800000000000));
  EXPECT_EQ(state.segment[kGs].base, 0xffff800000000000);
}

TEST_F(Msr, TscAndItsAdjustmentMoveTogether) {
  ASSERT_FALSE(write_faults(kMsrTsc, 1000));
  EXPECT_LT(read(kMsrTsc), 1000u + (uint64_t{1} << 34));
  const uint64_t adjust = read(kMsrTscAdjust);
  EXPECT_EQ(adjust, state.tsc_offset);
  EXPECT_EQ(interrupts.tsc_offset, state.tsc_offset) << "the APIC timer has to know";
  ASSERT_FALSE(write_faults(kMsrTscAdjust, adjust + 500));
  EXPECT_EQ(state.tsc_offset, adjust + 500);
  EXPECT_EQ(interrupts.tsc_offset, adjust + 500);
}

TEST_F(Msr, TscAuxIs32BitsWide) {
  EXPECT_TRUE(write_faults(kMsrTscAux, uint64_t{1} << 32));
  ASSERT_FALSE(write_faults(kMsrTscAux, 0xffffffff));
  EXPECT_EQ(read(kMsrTscAux), 0xffffffffu);
}

TEST_F(Msr, ApicRegistersGoToTheInterruptSource) {
  EXPECT_EQ(read(kMsrApicBase), kMsrApicBase + 1u);
  EXPECT_EQ(read(0x802), 0x803u);
  ASSERT_FALSE(write_faults(kMsrTscDeadline, 77));
  EXPECT_EQ(interrupts.last_msr, kMsrTscDeadline);
  EXPECT_EQ(interrupts.last_value, 77u);
  EXPECT_TRUE(write_faults(0x80b, 0xbad));
}

TEST_F(Msr, WithoutAnInterruptSourceApicRegistersFault) {
  cpu->interrupts = nullptr;
  EXPECT_EQ(vector_of(read_msr(*cpu, kMsrApicBase)), kGeneralProtection);
  EXPECT_TRUE(write_faults(0x80b, 0));
}

TEST_F(Msr, PatTakesMemoryTypesOnly) {
  EXPECT_EQ(read(kMsrPat), kPatReset);
  EXPECT_FALSE(write_faults(kMsrPat, 0x0706050400010605));
  EXPECT_TRUE(write_faults(kMsrPat, 0x02));
  EXPECT_TRUE(write_faults(kMsrPat, uint64_t{8} << 56));
}

TEST_F(Msr, Mtrrs) {
  EXPECT_EQ(read(kMsrMtrrCap), 0x508u);
  EXPECT_TRUE(write_faults(kMsrMtrrCap, 0));
  EXPECT_FALSE(write_faults(kMsrMtrrDefType, 0xc06));
  EXPECT_TRUE(write_faults(kMsrMtrrDefType, 0xc02));
  EXPECT_TRUE(write_faults(kMsrMtrrDefType, 0x1006));
  EXPECT_FALSE(write_faults(kMsrMtrrPhysBase0, 0x80000000 | 6));
  EXPECT_TRUE(write_faults(kMsrMtrrPhysBase0, 0x80000000 | 7));
  EXPECT_TRUE(write_faults(kMsrMtrrPhysBase0, uint64_t{1} << kPhysicalAddressBits));
  EXPECT_FALSE(write_faults(kMsrMtrrPhysBase0 + 1, 0x80000800));
  EXPECT_TRUE(write_faults(kMsrMtrrPhysBase0 + 1, 0x80000400));
  EXPECT_EQ(vector_of(read_msr(*cpu, kMsrMtrrPhysBase0 + 16)), kGeneralProtection);  // a ninth
  EXPECT_FALSE(write_faults(kMsrMtrrFix4kC0000 + 7, 0x0606060606060606));
  EXPECT_TRUE(write_faults(kMsrMtrrFix64k, 0x0606060606060607));
  EXPECT_EQ(state.mtrr_fixed[10], 0x0606060606060606u);
}

TEST_F(Msr, WhatSystemsTouchWithoutAsking) {
  EXPECT_EQ(read(kMsrMcgCap), 0u);
  EXPECT_TRUE(write_faults(kMsrMcgCtl, 0));
  EXPECT_FALSE(write_faults(kMsrMcgStatus, 0));
  static_cast<void>(read(kMsrBiosUpdateSignature));
  if (host_model().is_amd()) {
    EXPECT_EQ(read(0xc0011029), 2u);
  } else {
    EXPECT_FALSE(write_faults(kMsrBiosUpdateSignature, 0));
    EXPECT_EQ(read(kMsrFeatureControl), 1u);
    EXPECT_EQ(read(kMsrMiscEnable) & 1, 1u);
    EXPECT_EQ(vector_of(read_msr(*cpu, 0xc0010015)), kGeneralProtection);
  }
}

}  // namespace

}  // namespace eidolon::cpu
