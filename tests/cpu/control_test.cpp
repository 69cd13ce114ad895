// Control registers: the checks of every MOV, and what follows from a change.
#include "cpu/control.h"

#include "cpu/fixture.h"

namespace eidolon::cpu {

namespace {

using namespace x86;

using Control = CpuTest;

TEST_F(Control, Cr0RejectsPagingWithoutProtectionAndNwWithoutCd) {
  EXPECT_EQ(vector_of(write_cr0(*cpu, kCr0Pg)), kGeneralProtection);
  EXPECT_EQ(vector_of(write_cr0(*cpu, kCr0Pe | kCr0Nw)), kGeneralProtection);
  EXPECT_EQ(vector_of(write_cr0(*cpu, uint64_t{1} << 32)), kGeneralProtection);
  EXPECT_EQ(state.control.cr0, kCr0Et | kCr0Nw | kCr0Cd);
}

TEST_F(Control, Cr0KeepsEtAndDropsReservedBits) {
  ASSERT_TRUE(write_cr0(*cpu, kCr0Pe | 0x1000));
  EXPECT_EQ(state.control.cr0, kCr0Pe | kCr0Et);
}

TEST_F(Control, LongModeIsEnteredByPaging) {
  protected_mode();
  state.control.efer = kEferLme;
  EXPECT_EQ(vector_of(write_cr0(*cpu, kCr0Pe | kCr0Pg)), kGeneralProtection);  // no PAE
  state.control.cr4 = kCr4Pae;
  state.segment[kCs].attributes |= kAttrLong;
  EXPECT_EQ(vector_of(write_cr0(*cpu, kCr0Pe | kCr0Pg)), kGeneralProtection);  // CS.L
  state.segment[kCs].attributes &= ~kAttrLong;
  state.tr.attributes = kAttrPresent | kTss16Busy;
  EXPECT_EQ(vector_of(write_cr0(*cpu, kCr0Pe | kCr0Pg)), kGeneralProtection);  // 16-bit TSS
  state.tr.attributes = kAttrPresent | kTss32Busy;
  ASSERT_TRUE(write_cr0(*cpu, kCr0Pe | kCr0Pg));
  EXPECT_TRUE(state.long_mode());
  EXPECT_EQ(vector_of(write_cr4(*cpu, 0)), kGeneralProtection);   // PAE stays
  EXPECT_EQ(vector_of(write_efer(*cpu, 0)), kGeneralProtection);  // LME stays
  ASSERT_TRUE(write_cr0(*cpu, kCr0Pe));
  EXPECT_FALSE(state.long_mode());
  EXPECT_EQ(state.control.efer, kEferLme);
}

TEST_F(Control, PagingStaysOnIn64BitCode) {
  long_mode();
  EXPECT_EQ(vector_of(write_cr0(*cpu, kCr0Pe)), kGeneralProtection);
}

TEST_F(Control, PaePointersAreLoadedAndChecked) {
  protected_mode();
  state.control.cr4 = kCr4Pae;
  state.control.cr3 = kData;
  put<uint64_t>(kData, 0x1000 | kPtePresent | 2);  // bit 1 is reserved
  EXPECT_EQ(vector_of(write_cr0(*cpu, kCr0Pe | kCr0Pg)), kGeneralProtection);
  EXPECT_FALSE(state.control.paging());
  put<uint64_t>(kData, 0x1000 | kPtePresent);
  ASSERT_TRUE(write_cr0(*cpu, kCr0Pe | kCr0Pg));
  EXPECT_EQ(state.control.pdpte[0], 0x1000 | kPtePresent);
  put<uint64_t>(kData + 0x20, 0x3000 | kPtePresent);
  ASSERT_TRUE(write_cr3(*cpu, kData + 0x20));
  EXPECT_EQ(state.control.pdpte[0], 0x3000 | kPtePresent);
  put<uint64_t>(kData + 0x40, 0x6 | kPtePresent);
  EXPECT_EQ(vector_of(write_cr3(*cpu, kData + 0x40)), kGeneralProtection);
  EXPECT_EQ(state.control.cr3, kData + 0x20);
}

TEST_F(Control, Cr3HasReservedBitsInLongMode) {
  long_mode();
  EXPECT_EQ(vector_of(write_cr3(*cpu, uint64_t{1} << kPhysicalAddressBits)), kGeneralProtection);
  EXPECT_EQ(vector_of(write_cr3(*cpu, kTables | kCr3NoFlush)), kGeneralProtection);
  state.control.cr4 |= kCr4PcidE;
  ASSERT_TRUE(write_cr3(*cpu, (kTables + 5) | kCr3NoFlush));
  EXPECT_EQ(state.control.cr3, kTables + 5);
}

TEST_F(Control, WritesToCr3ForgetTranslations) {
  long_mode();
  const uint64_t before = cpu->mmu.generation();
  state.gpr[kRax] = kTables;
  ASSERT_TRUE(run({0x0f, 0x22, 0xd8}));  // mov cr3, rax
  EXPECT_GT(cpu->mmu.generation(), before);
}

TEST_F(Control, PcidNeedsLongModeAndAClearCr3) {
  if ((host_model().supported_cr4() & kCr4PcidE) == 0) GTEST_SKIP() << "the host has no PCID";
  protected_mode();
  EXPECT_EQ(vector_of(write_cr4(*cpu, kCr4PcidE)), kGeneralProtection);
  long_mode();
  state.control.cr3 |= 8;
  EXPECT_EQ(vector_of(write_cr4(*cpu, state.control.cr4 | kCr4PcidE)), kGeneralProtection);
  state.control.cr3 &= ~uint64_t{8};
  EXPECT_TRUE(write_cr4(*cpu, state.control.cr4 | kCr4PcidE));
}

TEST_F(Control, Cr4TakesOnlyWhatCpuidShows) {
  EXPECT_EQ(vector_of(write_cr4(*cpu, kCr4Vmxe)), kGeneralProtection);
  EXPECT_EQ(vector_of(write_cr4(*cpu, kCr4La57)), kGeneralProtection);
  EXPECT_EQ(vector_of(write_cr4(*cpu, uint64_t{1} << 63)), kGeneralProtection);
  EXPECT_TRUE(write_cr4(*cpu, kCr4Umip | kCr4De));
}

TEST_F(Control, EferIgnoresLmaAndRejectsReservedBits) {
  ASSERT_TRUE(write_efer(*cpu, kEferSce | kEferLma));
  EXPECT_EQ(state.control.efer, kEferSce);
  EXPECT_EQ(vector_of(write_efer(*cpu, 1u << 12)), kGeneralProtection);  // SVME
}

TEST_F(Control, LmswSetsButNeverClearsPe) {
  state.gpr[kRax] = 0xffff;
  ASSERT_TRUE(run({0x0f, 0x01, 0xf0}));  // lmsw ax
  EXPECT_EQ(state.control.cr0 & 0xffff, kCr0Et | 0xf);
  state.gpr[kRax] = 0;
  ASSERT_TRUE(run({0x0f, 0x01, 0xf0}));
  EXPECT_EQ(state.control.cr0 & 0xffff, kCr0Et | kCr0Pe);
}

TEST_F(Control, CltsAndSmsw) {
  protected_mode();
  state.control.cr0 |= kCr0Ts;
  state.gpr[kRbx] = ~uint64_t{0};
  ASSERT_TRUE(run({0x66, 0x0f, 0x01, 0xe3}));  // smsw bx
  EXPECT_EQ(state.gpr[kRbx], 0xffffffffffff0000 | (state.control.cr0 & 0xffff));
  ASSERT_TRUE(run({0x0f, 0x06}));
  EXPECT_EQ(state.control.cr0 & kCr0Ts, 0u);
}

TEST_F(Control, Cr8IsTheTaskPriority) {
  long_mode();
  state.gpr[kRax] = 9;
  ASSERT_TRUE(run({0x44, 0x0f, 0x22, 0xc0}));  // mov cr8, rax
  EXPECT_EQ(interrupts.priority, 9);
  ASSERT_TRUE(run({0x44, 0x0f, 0x20, 0xc3}));  // mov rbx, cr8
  EXPECT_EQ(state.gpr[kRbx], 9u);
  state.gpr[kRax] = 16;
  EXPECT_EQ(vector_of(run({0x44, 0x0f, 0x22, 0xc0})), kGeneralProtection);
}

TEST_F(Control, Cr2AndUpperHalvesIn32BitCode) {
  protected_mode();
  state.gpr[kRax] = 0xdeadbeef12345678;
  ASSERT_TRUE(run({0x0f, 0x22, 0xd0}));  // mov cr2, eax
  EXPECT_EQ(state.cr2, 0x12345678u);
}

TEST(ValidXcr0, Rules) {
  constexpr uint64_t kAll = kXcr0X87 | kXcr0Sse | kXcr0Avx | kXcr0Avx512;
  EXPECT_TRUE(valid_xcr0(kAll, kAll));
  EXPECT_TRUE(valid_xcr0(kXcr0X87, kAll));
  EXPECT_FALSE(valid_xcr0(kXcr0Sse, kAll));
  EXPECT_FALSE(valid_xcr0(kXcr0X87 | kXcr0Avx, kAll));
  EXPECT_FALSE(valid_xcr0(kXcr0X87 | kXcr0Sse | kXcr0Avx512, kAll));
  EXPECT_FALSE(valid_xcr0(kXcr0X87 | kXcr0Sse | kXcr0Avx | 1u << 5, kAll));
  EXPECT_FALSE(valid_xcr0(kAll, kXcr0X87 | kXcr0Sse));
}

TEST_F(Control, XsetbvNeedsOsxsaveAndRingZero) {
  long_mode();
  state.gpr[kRax] = 3;
  state.gpr[kRcx] = 0;
  state.gpr[kRdx] = 0;
  ASSERT_TRUE(run({0x0f, 0x01, 0xd1}));
  EXPECT_EQ(state.xcr0, 3u);
  state.gpr[kRcx] = 1;
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xd1})), kGeneralProtection);
  state.gpr[kRcx] = 0;
  state.control.cr4 &= ~kCr4OsXsave;
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xd1})), kInvalidOpcode);
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xd0})), kInvalidOpcode);
  long_mode(3);
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xd1})), kGeneralProtection);
  ASSERT_TRUE(run({0x0f, 0x01, 0xd0}));  // xgetbv
  EXPECT_EQ(state.gpr[kRax], state.xcr0);
}

TEST_F(Control, InvlpgForgetsOnePage) {
  long_mode();
  ASSERT_TRUE(read_linear<uint8_t>(*cpu, kData, mmu::View::kSupervisor));
  ASSERT_NE(cpu->mmu.tlb().lookup(kData, 1, false, mmu::View::kSupervisor), nullptr);
  state.gpr[kRdi] = kData + 5;
  ASSERT_TRUE(run({0x0f, 0x01, 0x3f}));
  EXPECT_EQ(cpu->mmu.tlb().lookup(kData, 1, false, mmu::View::kSupervisor), nullptr);
  state.gpr[kRdi] = uint64_t{1} << 63;  // not canonical: nothing happens
  EXPECT_TRUE(run({0x0f, 0x01, 0x3f}));
}

TEST_F(Control, InvpcidChecksItsDescriptor) {
  if (!host_model().has(CpuidModel::Feature::kInvpcid)) GTEST_SKIP() << "the host has no INVPCID";
  long_mode();
  const auto invpcid = [this](uint64_t type, uint64_t pcid, uint64_t address) {
    put<uint64_t>(kData, pcid);
    put<uint64_t>(kData + 8, address);
    state.gpr[kRax] = type;
    state.gpr[kRdi] = kData;
    return vector_of(run({0x66, 0x0f, 0x38, 0x82, 0x07}));
  };
  EXPECT_EQ(invpcid(0, 0, 0x1000), -1);
  EXPECT_EQ(invpcid(2, 0, 0), -1);
  EXPECT_EQ(invpcid(3, 0, 0), -1);
  EXPECT_EQ(invpcid(4, 0, 0), kGeneralProtection);
  EXPECT_EQ(invpcid(0, 0, uint64_t{1} << 63), kGeneralProtection);
  EXPECT_EQ(invpcid(1, 1, 0), kGeneralProtection);  // PCID without CR4.PCIDE
  EXPECT_EQ(invpcid(2, 0x1000, 0), kGeneralProtection);
  state.control.cr4 |= kCr4PcidE;
  EXPECT_EQ(invpcid(1, 1, 0), -1);
}

}  // namespace

}  // namespace eidolon::cpu
