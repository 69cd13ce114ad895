#include "cpu/sensitive.h"

#include "cpu/fixture.h"
#include "cpu/sensitive_table.h"
#include "isa/catalogue.h"

namespace eidolon::cpu {

namespace {

[[nodiscard]] bool has_sensitive_form(const isa::Row& row) {
  return isa::is_sensitive(row.klass) || row.variant == isa::Variant::kMove ||
         row.variant == isa::Variant::kPushPop || row.variant == isa::Variant::kFar;
}

TEST(SensitiveTable, ServesExactlyWhatTheCatalogueCallsSensitive) {
  for (const isa::Row& row : isa::catalogue()) {
    EXPECT_EQ(handler_of(row.mnemonic).handler != nullptr, has_sensitive_form(row))
        << ZydisMnemonicGetString(row.mnemonic);
  }
}

using Sensitive = CpuTest;

TEST_F(Sensitive, UnsupportedInstructionsAreUndefined) {
  long_mode();
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xc1})), x86::kInvalidOpcode);  // vmcall
  EXPECT_EQ(state.rip, kCode);
}

TEST_F(Sensitive, FeaturesThatAreNotOfferedAreUndefined) {
  long_mode();
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xc8})), x86::kInvalidOpcode);  // monitor
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xc9})), x86::kInvalidOpcode);  // mwait
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xee})), x86::kInvalidOpcode);  // rdpkru
  EXPECT_EQ(vector_of(run({0x0f, 0xc7, 0x2f})), x86::kInvalidOpcode);  // xsaves
}

TEST_F(Sensitive, RipAdvancesInTheWidthOfTheCodeSegment) {
  real_mode();
  state.rip = 0xffff;
  ASSERT_TRUE(run({0xfa}));
  EXPECT_EQ(state.rip, 0u);

  protected_mode();
  state.rip = 0xffffffff;
  ASSERT_TRUE(run({0xfa}));
  EXPECT_EQ(state.rip, 0u);

  long_mode();
  state.rip = 0xffffffff;
  ASSERT_TRUE(run({0xfa}));
  EXPECT_EQ(state.rip, 0x100000000u);
}

TEST_F(Sensitive, PrivilegedInstructionsFaultInUserMode) {
  long_mode(3);
  EXPECT_EQ(vector_of(run({0xf4})), x86::kGeneralProtection);              // hlt
  EXPECT_EQ(vector_of(run({0x0f, 0x30})), x86::kGeneralProtection);        // wrmsr
  EXPECT_EQ(vector_of(run({0x0f, 0x32})), x86::kGeneralProtection);        // rdmsr
  EXPECT_EQ(vector_of(run({0x0f, 0x20, 0xc0})), x86::kGeneralProtection);  // mov rax, cr0
  EXPECT_EQ(vector_of(run({0x0f, 0x21, 0xc0})), x86::kGeneralProtection);  // mov rax, dr0
  EXPECT_EQ(vector_of(run({0x0f, 0x09})), x86::kGeneralProtection);        // wbinvd
  EXPECT_EQ(vector_of(run({0x0f, 0x08})), x86::kGeneralProtection);        // invd
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0x3f})), x86::kGeneralProtection);  // invlpg [rdi]
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0x17})), x86::kGeneralProtection);  // lgdt [rdi]
  EXPECT_EQ(vector_of(run({0x0f, 0x06})), x86::kGeneralProtection);        // clts
  EXPECT_EQ(state.rip, kCode);
}

TEST_F(Sensitive, HaltIsNotedAndRipIsPastIt) {
  long_mode();
  ASSERT_TRUE(run({0xf4}));
  EXPECT_EQ(state.activity, Activity::kHalted);
  EXPECT_EQ(state.rip, kCode + 1);
}

TEST_F(Sensitive, CpuidClearsUpperHalves) {
  long_mode();
  state.gpr[x86::kRax] = 0xffffffff40000000;
  state.gpr[x86::kRcx] = ~uint64_t{0};
  ASSERT_TRUE(run({0x0f, 0xa2}));
  EXPECT_EQ(state.gpr[x86::kRbx], 0x6f646945u);
  EXPECT_EQ(state.gpr[x86::kRcx], 0x456e6f6cu);
  EXPECT_EQ(state.gpr[x86::kRdx], 0x6c6f6469u);
}

TEST_F(Sensitive, CountersObeyTheirControlBits) {
  long_mode(3);
  state.tsc_offset = uint64_t{1} << 60;
  ASSERT_TRUE(run({0x0f, 0x31}));  // rdtsc
  EXPECT_GE(state.gpr[x86::kRdx], 1u << 28);
  state.tsc_aux = 7;
  ASSERT_TRUE(run({0x0f, 0x01, 0xf9}));  // rdtscp
  EXPECT_EQ(state.gpr[x86::kRcx], 7u);
  state.control.cr4 |= x86::kCr4Tsd;
  EXPECT_EQ(vector_of(run({0x0f, 0x31})), x86::kGeneralProtection);
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xf9})), x86::kGeneralProtection);
  EXPECT_EQ(vector_of(run({0x0f, 0x33})), x86::kGeneralProtection);  // rdpmc
}

TEST_F(Sensitive, DescriptorTablesLoadAndStore) {
  long_mode();
  put<uint16_t>(kData, 0x1234);
  put<uint64_t>(kData + 2, 0xffff800000001000);
  state.gpr[x86::kRdi] = kData;
  ASSERT_TRUE(run({0x0f, 0x01, 0x17}));  // lgdt [rdi]
  EXPECT_EQ(state.gdtr.limit, 0x1234);
  EXPECT_EQ(state.gdtr.base, 0xffff800000001000);
  state.gpr[x86::kRdi] = kData + 0x100;
  ASSERT_TRUE(run({0x0f, 0x01, 0x07}));  // sgdt [rdi]
  EXPECT_EQ(get<uint64_t>(kData + 0x102), 0xffff800000001000);
  EXPECT_EQ(get<uint16_t>(kData + 0x100), 0x1234);

  put<uint64_t>(kData + 2, 0x8000000000000000);
  state.gpr[x86::kRdi] = kData;
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0x17})), x86::kGeneralProtection);
  EXPECT_EQ(state.gdtr.base, 0xffff800000001000);
}

TEST_F(Sensitive, A16BitTableLoadTakes24BitsOfBase) {
  real_mode();
  put<uint16_t>(0x500, 0x7ff);
  put<uint32_t>(0x502, 0xabcdef12);
  ASSERT_TRUE(run({0x0f, 0x01, 0x1e, 0x00, 0x05}));  // lidt [0x500]
  EXPECT_EQ(state.idtr.base, 0xcdef12u);
  ASSERT_TRUE(run({0x66, 0x0f, 0x01, 0x1e, 0x00, 0x05}));
  EXPECT_EQ(state.idtr.base, 0xabcdef12u);
  EXPECT_EQ(state.idtr.limit, 0x7ff);
}

TEST_F(Sensitive, UmipTakesStoresFromUserCode) {
  long_mode(3);
  state.gpr[x86::kRdi] = kData;
  ASSERT_TRUE(run({0x0f, 0x01, 0x07}));  // sgdt
  ASSERT_TRUE(run({0x0f, 0x01, 0xe0}));  // smsw eax
  ASSERT_TRUE(run({0x0f, 0x00, 0xc8}));  // str eax
  EXPECT_EQ(state.gpr[x86::kRax], 0x100u);
  state.control.cr4 |= x86::kCr4Umip;
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0x07})), x86::kGeneralProtection);
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0x0f})), x86::kGeneralProtection);  // sidt
  EXPECT_EQ(vector_of(run({0x0f, 0x00, 0xc0})), x86::kGeneralProtection);  // sldt
  EXPECT_EQ(vector_of(run({0x0f, 0x00, 0xc8})), x86::kGeneralProtection);
  EXPECT_EQ(vector_of(run({0x0f, 0x01, 0xe0})), x86::kGeneralProtection);
}

TEST_F(Sensitive, TaskAndLocalTableInstructionsNeedProtectedMode) {
  real_mode();
  EXPECT_EQ(vector_of(run({0x0f, 0x00, 0xc8})), x86::kInvalidOpcode);  // str
  EXPECT_EQ(vector_of(run({0x0f, 0x00, 0xd0})), x86::kInvalidOpcode);  // lldt
  EXPECT_EQ(vector_of(run({0x0f, 0x00, 0xe0})), x86::kInvalidOpcode);  // verr
  EXPECT_EQ(vector_of(run({0x0f, 0x02, 0xc0})), x86::kInvalidOpcode);  // lar
  virtual_8086();
  EXPECT_EQ(vector_of(run({0x0f, 0x00, 0xd8})), x86::kInvalidOpcode);  // ltr
  EXPECT_EQ(vector_of(run({0x0f, 0x03, 0xc0})), x86::kInvalidOpcode);  // lsl
}

TEST_F(Sensitive, FsAndGsBases) {
  long_mode(3);
  state.gpr[x86::kRax] = 0x123456789000;
  EXPECT_EQ(vector_of(run({0xf3, 0x48, 0x0f, 0xae, 0xd0})), x86::kInvalidOpcode);
  state.control.cr4 |= x86::kCr4FsGsBase;
  ASSERT_TRUE(run({0xf3, 0x48, 0x0f, 0xae, 0xd0}));  // wrfsbase rax
  EXPECT_EQ(state.segment[x86::kFs].base, 0x123456789000u);
  ASSERT_TRUE(run({0xf3, 0x0f, 0xae, 0xc3}));  // rdfsbase ebx
  EXPECT_EQ(state.gpr[x86::kRbx], 0x56789000u);
  state.gpr[x86::kRax] = uint64_t{1} << 47;
  EXPECT_EQ(vector_of(run({0xf3, 0x48, 0x0f, 0xae, 0xd8})), x86::kGeneralProtection);  // wrgsbase
}

TEST_F(Sensitive, SegmentMovesInRealMode) {
  real_mode();
  state.gpr[x86::kRax] = 0xffff1234;
  ASSERT_TRUE(run({0x8e, 0xd8}));  // mov ds, ax
  EXPECT_EQ(state.segment[x86::kDs].base, 0x12340u);
  state.gpr[x86::kRbx] = 0xffffffff;
  ASSERT_TRUE(run({0x8c, 0xdb}));  // mov bx, ds
  EXPECT_EQ(state.gpr[x86::kRbx], 0xffff1234u);
  ASSERT_TRUE(run({0x66, 0x8c, 0xdb}));  // mov ebx, ds
  EXPECT_EQ(state.gpr[x86::kRbx], 0x1234u);
  ASSERT_TRUE(run({0x1e}));  // push ds
  EXPECT_EQ(get<uint16_t>(0x7ffe), 0x1234);
  ASSERT_TRUE(run({0x07}));  // pop es
  EXPECT_EQ(state.segment[x86::kEs].selector, 0x1234);
  EXPECT_EQ(state.gpr[x86::kRsp], 0x8000u);
}

TEST_F(Sensitive, LoadingSsCastsAShadow) {
  real_mode();
  state.gpr[x86::kRax] = 0x20;
  ASSERT_TRUE(run({0x8e, 0xd0}));  // mov ss, ax
  EXPECT_EQ(state.interrupt_shadow, state.rip);
  EXPECT_TRUE(state.shadow_blocks_debug);
}

TEST_F(Sensitive, LoadFarPointer) {
  real_mode();
  put<uint16_t>(0x500, 0xbeef);
  put<uint16_t>(0x502, 0x4321);
  ASSERT_TRUE(run({0xc4, 0x3e, 0x00, 0x05}));  // les di, [0x500]
  EXPECT_EQ(state.gpr[x86::kRdi], 0xbeefu);
  EXPECT_EQ(state.segment[x86::kEs].base, 0x43210u);
}

}  // namespace

}  // namespace eidolon::cpu
