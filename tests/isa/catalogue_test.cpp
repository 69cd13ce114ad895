#include "isa/catalogue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "decoded.h"
#include "random_code.h"

namespace eidolon::isa {
namespace {

Class class_of(CodeSize size, const Bytes& bytes) { return decoded(size, bytes).klass; }

TEST(Catalogue, HasEveryMnemonicOnceInOrder) {
  ASSERT_EQ(catalogue().size(), size_t{ZYDIS_MNEMONIC_MAX_VALUE} + 1);
  for (size_t i = 0; i < catalogue().size(); ++i) EXPECT_EQ(size_t{catalogue()[i].mnemonic}, i);
}

// Robin and Irvine's seventeen, and what x86-64, fast system calls, XSAVE, FSGSBASE, PKU, RDPID … have added
// since. in, out, cli and sti are not holes: they fault as long as IOPL is below the monitor's privilege
// level, and Linux keeps it 0.
TEST(Catalogue, TheVirtualizationHoles) {
  const std::vector<std::string> expected = {
      // transfers of control through descriptor tables
      "call", "jmp", "ret", "int", "int1", "int3", "into", "iret", "iretd", "iretq", "syscall", "sysenter",
      // segment registers, their selectors and bases
      "mov", "push", "pop", "lds", "les", "lfs", "lgs", "lss", "rdfsbase", "rdgsbase", "wrfsbase", "wrgsbase",
      // descriptor tables
      "sgdt", "sidt", "sldt", "str", "smsw", "lar", "lsl", "verr", "verw",
      // flags
      "pushf", "pushfd", "pushfq", "popf", "popfd", "popfq",
      // processor identity, time and keys
      "cpuid", "rdtsc", "rdtscp", "rdpmc", "rdpid", "xgetbv", "rdpkru", "wrpkru",
      // state images
      "fxsave", "fxsave64", "fxrstor", "fxrstor64", "fnstenv", "fldenv", "fnsave", "frstor", "xsave",
      "xsave64", "xsavec", "xsavec64", "xsaveopt", "xsaveopt64", "xrstor", "xrstor64"};
  std::vector<std::string> actual;
  for (const ZydisMnemonic mnemonic : virtualization_holes())
    actual.emplace_back(ZydisMnemonicGetString(mnemonic));
  std::vector<std::string> sorted = expected;
  std::sort(sorted.begin(), sorted.end());
  std::sort(actual.begin(), actual.end());
  EXPECT_EQ(actual, sorted);
}

TEST(Catalogue, MovIsRefinedByItsOperands) {
  EXPECT_EQ(class_of(CodeSize::k64, {0x89, 0xc8}), Class::kInnocuous);
  EXPECT_EQ(class_of(CodeSize::k64, {0x8c, 0xd8}), Class::kBehaviourSensitive);      // mov eax, ds
  EXPECT_EQ(class_of(CodeSize::k64, {0x8e, 0xd8}), Class::kBehaviourSensitive);      // mov ds, eax
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0x22, 0xd8}), Class::kControlSensitive);  // mov cr3, rax
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0x21, 0xf8}), Class::kControlSensitive);  // mov rax, dr7
  EXPECT_EQ(privilege(decoded(CodeSize::k64, {0x0f, 0x22, 0xd8}).zydis), Privilege::kRing0);
  EXPECT_EQ(privilege(decoded(CodeSize::k64, {0x8e, 0xd8}).zydis), Privilege::kNone);
}

TEST(Catalogue, PushAndPopAreRefinedByTheirOperands) {
  EXPECT_EQ(class_of(CodeSize::k64, {0x50}), Class::kStack);
  EXPECT_EQ(class_of(CodeSize::k64, {0x6a, 0x01}), Class::kStack);
  EXPECT_EQ(class_of(CodeSize::k64, {0x8f, 0x00}), Class::kStack);
  EXPECT_EQ(class_of(CodeSize::k64, {0xff, 0x30}), Class::kStack);
  EXPECT_EQ(class_of(CodeSize::k32, {0x1e}), Class::kBehaviourSensitive);        // push ds
  EXPECT_EQ(class_of(CodeSize::k32, {0x17}), Class::kBehaviourSensitive);        // pop ss
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0xa0}), Class::kBehaviourSensitive);  // push fs
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0xa9}), Class::kBehaviourSensitive);  // pop gs
}

TEST(Catalogue, FarBranchesAreSensitiveNearOnesAreNot) {
  EXPECT_EQ(class_of(CodeSize::k64, {0xe8, 0, 0, 0, 0}), Class::kControlFlow);
  EXPECT_EQ(class_of(CodeSize::k64, {0xff, 0xe0}), Class::kControlFlow);
  EXPECT_EQ(class_of(CodeSize::k64, {0xc3}), Class::kControlFlow);
  EXPECT_EQ(class_of(CodeSize::k64, {0xcb}), Class::kControlSensitive);                 // retf
  EXPECT_EQ(class_of(CodeSize::k64, {0xff, 0x28}), Class::kControlSensitive);           // jmp far [rax]
  EXPECT_EQ(class_of(CodeSize::k64, {0xff, 0x18}), Class::kControlSensitive);           // call far [rax]
  EXPECT_EQ(class_of(CodeSize::k16, {0xea, 0, 0, 0, 0xf0}), Class::kControlSensitive);  // jmp far
  EXPECT_EQ(class_of(CodeSize::k64, {0x74, 0x00}), Class::kControlFlow);
}

TEST(Catalogue, OneMnemonicForStringAndSse) {
  EXPECT_EQ(class_of(CodeSize::k64, {0xa5}), Class::kString);                          // movsd
  EXPECT_EQ(class_of(CodeSize::k64, {0xf2, 0x0f, 0x10, 0xc1}), Class::kInnocuous);     // movsd xmm0, xmm1
  EXPECT_EQ(class_of(CodeSize::k64, {0xf3, 0xa7}), Class::kString);                    // repe cmpsd
  EXPECT_EQ(class_of(CodeSize::k64, {0xf2, 0x0f, 0xc2, 0xc1, 0}), Class::kInnocuous);  // cmpeqsd
}

TEST(Catalogue, BitStringsAddressMemoryThroughTheirOffset) {
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0xa3, 0x01}), Class::kImplicitMemory);
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0xa3, 0xc1}), Class::kInnocuous);
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0xba, 0x21, 0x01}), Class::kInnocuous);
}

TEST(Catalogue, SamplesOfTheOtherClasses) {
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0xc7, 0xf0}), Class::kInnocuous);         // rdrand
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0xae, 0x38}), Class::kInnocuous);         // clflush
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0xae, 0x20}), Class::kState);             // xsave
  EXPECT_EQ(class_of(CodeSize::k64, {0xd7}), Class::kImplicitMemory);                // xlat
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0x01, 0xc1}), Class::kControlSensitive);  // vmcall
  EXPECT_EQ(class_of(CodeSize::k64, {0x0f, 0x01, 0xc2}), Class::kUnsupported);       // vmlaunch
  EXPECT_EQ(class_of(CodeSize::k64, {0xf4}), Class::kControlSensitive);              // hlt
  EXPECT_EQ(class_of(CodeSize::k64, {0xec}), Class::kControlSensitive);              // in
}

// A vector-indexed operand and a transfer that is not a near branch must never pass for innocuous.
TEST(Catalogue, NothingUnusualIsInnocuous) {
  RandomCode code(17);
  const Decoder decoder;
  int innocuous = 0;
  for (int i = 0; i < 200000; ++i) {
    Instruction instruction;
    const auto bytes = code.next(CodeSize::k64);
    if (decoder.decode(CodeSize::k64, bytes, instruction) != DecodeStatus::kOk) continue;
    if (instruction.klass != Class::kInnocuous) continue;
    ++innocuous;
    SCOPED_TRACE(ZydisMnemonicGetString(instruction.mnemonic()));
    ASSERT_EQ(instruction.zydis.meta.branch_type, ZYDIS_BRANCH_TYPE_NONE);
    ASSERT_EQ(instruction.zydis.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED, 0u);
    for (unsigned k = 0; k < instruction.zydis.operand_count; ++k) {
      const ZydisDecodedOperand& operand = instruction.operands[k];
      if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
      ASSERT_EQ(operand.visibility, ZYDIS_OPERAND_VISIBILITY_EXPLICIT);
      ASSERT_NE(operand.mem.type, ZYDIS_MEMOP_TYPE_VSIB);
    }
  }
  EXPECT_GT(innocuous, 20000);
}

TEST(ExtendedState, FollowsEncodingAndExtension) {
  const auto state = [](const Bytes& bytes) { return required_state(decoded(CodeSize::k64, bytes).zydis); };
  EXPECT_EQ(state({0x01, 0xc0}), ExtendedState::kNone);
  EXPECT_EQ(state({0xd9, 0xe8}), ExtendedState::kX87);                     // fld1
  EXPECT_EQ(state({0xdb, 0x08}), ExtendedState::kX87);                     // fisttp, of SSE3
  EXPECT_EQ(state({0x9b}), ExtendedState::kX87);                           // fwait
  EXPECT_EQ(state({0x0f, 0x6f, 0xc1}), ExtendedState::kMmx);               // movq mm0, mm1
  EXPECT_EQ(state({0x0f, 0x58, 0xc1}), ExtendedState::kSse);               // addps
  EXPECT_EQ(state({0x0f, 0xae, 0x10}), ExtendedState::kSse);               // ldmxcsr
  EXPECT_EQ(state({0x0f, 0xae, 0xf8}), ExtendedState::kNone);              // sfence
  EXPECT_EQ(state({0xf3, 0x0f, 0xb8, 0xc1}), ExtendedState::kNone);        // popcnt
  EXPECT_EQ(state({0xc5, 0xf8, 0x77}), ExtendedState::kAvx);               // vzeroupper
  EXPECT_EQ(state({0xc4, 0xe2, 0x78, 0xf2, 0xc1}), ExtendedState::kNone);  // andn
  EXPECT_EQ(state({0xc5, 0xf8, 0x90, 0xc9}), ExtendedState::kAvx512);      // kmovw
  EXPECT_EQ(state({0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc1}), ExtendedState::kAvx512);
}

}  // namespace
}  // namespace eidolon::isa
