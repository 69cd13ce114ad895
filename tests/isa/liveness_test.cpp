#include "isa/liveness.h"

#include <gtest/gtest.h>

#include "decoded.h"

namespace eidolon::isa {
namespace {

constexpr uint16_t kRax = 1, kRcx = 2, kRdx = 4, kRbx = 8, kRsp = 16, kRbp = 32, kRsi = 64, kRdi = 128;
constexpr uint32_t kCf = 1, kPf = 4, kAf = 0x10, kZf = 0x40, kSf = 0x80, kDf = 0x400, kOf = 0x800;
constexpr uint32_t kStatus = kCf | kPf | kAf | kZf | kSf | kOf;

RegisterUse use64(const Bytes& bytes) { return register_use(decoded(CodeSize::k64, bytes)); }
RegisterUse use32(const Bytes& bytes) { return register_use(decoded(CodeSize::k32, bytes)); }

TEST(Liveness, LoadReadsItsAddressAndKillsItsDestination) {
  const RegisterUse use = use64({0x48, 0x8b, 0x44, 0x8b, 0x10});  // mov rax, [rbx + rcx * 4 + 16]
  EXPECT_EQ(use.gpr_read, kRbx | kRcx);
  EXPECT_EQ(use.gpr_written, kRax);
  EXPECT_EQ(use.gpr_killed, kRax);
  EXPECT_EQ(use.flags_written, 0u);
}

TEST(Liveness, DestinationThatIsAlsoAnAddressIsNotKilled) {
  const RegisterUse use = use64({0x48, 0x8b, 0x00});  // mov rax, [rax]
  EXPECT_EQ(use.gpr_read, kRax);
  EXPECT_EQ(use.gpr_killed, 0);
}

TEST(Liveness, ThirtyTwoBitWritesKillAndNarrowerOnesDoNot) {
  EXPECT_EQ(use64({0xb8, 1, 0, 0, 0}).gpr_killed, kRax);
  EXPECT_EQ(use32({0xb8, 1, 0, 0, 0}).gpr_killed, kRax);
  EXPECT_EQ(use64({0x66, 0xb8, 1, 0}).gpr_killed, 0);
  EXPECT_EQ(use64({0x66, 0xb8, 1, 0}).gpr_written, kRax);
  EXPECT_EQ(use64({0xb0, 1}).gpr_killed, 0);
}

TEST(Liveness, ExtendedRegistersKeepTheirNumbers) {
  const RegisterUse use = use64({0x4d, 0x01, 0xfe});  // add r14, r15
  EXPECT_EQ(use.gpr_read, 0xc000);
  EXPECT_EQ(use.gpr_written, 0x4000);
  EXPECT_EQ(use.flags_killed, kStatus);
}

TEST(Liveness, HighBytesBelongToTheFirstFourRegisters) {
  const RegisterUse use = use64({0x88, 0xfc});  // mov ah, bh
  EXPECT_EQ(use.gpr_read, kRbx);
  EXPECT_EQ(use.gpr_written, kRax);
  EXPECT_EQ(use.gpr_killed, 0);
  EXPECT_TRUE(use.uses_high_byte);
  EXPECT_FALSE(use64({0x40, 0x88, 0xfc}).uses_high_byte);  // mov spl, dil
  EXPECT_EQ(use64({0x40, 0x88, 0xfc}).gpr_read, kRdi);
  EXPECT_FALSE(use64({0x9f}).uses_high_byte);  // lahf
}

TEST(Liveness, ConditionalWritesDoNotKill) {
  EXPECT_EQ(use64({0x48, 0x0f, 0x44, 0xc1}).gpr_killed, 0);  // cmove rax, rcx
  EXPECT_EQ(use64({0x48, 0x0f, 0x44, 0xc1}).flags_read, kZf);
  EXPECT_EQ(use64({0x48, 0x0f, 0xbc, 0xc1}).gpr_killed, 0);        // bsf rax, rcx
  EXPECT_EQ(use64({0xf3, 0x48, 0x0f, 0xbc, 0xc1}).gpr_killed, 0);  // tzcnt, which may run as bsf
  EXPECT_EQ(use64({0x48, 0x0f, 0xb1, 0x0b}).gpr_killed, 0);        // cmpxchg [rbx], rcx
  EXPECT_EQ(use64({0x48, 0x0f, 0xb1, 0x0b}).gpr_read, kRax | kRcx | kRbx);
}

TEST(Liveness, ImplicitOperandsCount) {
  EXPECT_EQ(use64({0x48, 0xf7, 0xe3}).gpr_read, kRax | kRbx);  // mul rbx
  EXPECT_EQ(use64({0x48, 0xf7, 0xe3}).gpr_killed, kRdx);
  EXPECT_EQ(use64({0x48, 0xf7, 0xf3}).gpr_read, kRax | kRdx | kRbx);  // div rbx
  EXPECT_EQ(use64({0x48, 0x99}).gpr_killed, kRdx);                    // cqo
  EXPECT_EQ(use64({0x50}).gpr_read, kRax | kRsp);                     // push rax
  EXPECT_EQ(use64({0x50}).gpr_written, kRsp);
  EXPECT_EQ(use64({0xc9}).gpr_read & kRbp, kRbp);                         // leave
  EXPECT_EQ(use64({0xd7}).gpr_read, kRax | kRbx);                         // xlat
  EXPECT_EQ(use64({0x0f, 0xa2}).gpr_written, kRax | kRcx | kRdx | kRbx);  // cpuid
  EXPECT_EQ(use32({0x60}).gpr_read, 0xff);                                // pusha
  EXPECT_EQ(use32({0x61}).gpr_written, 0xff);                             // popa
}

TEST(Liveness, StringsReadTheirPointersCountAndDirection) {
  const RegisterUse use = use64({0xf3, 0xa4});  // rep movsb
  EXPECT_EQ(use.gpr_read & (kRsi | kRdi | kRcx), kRsi | kRdi | kRcx);
  EXPECT_EQ(use.gpr_written & (kRsi | kRdi | kRcx), kRsi | kRdi | kRcx);
  EXPECT_EQ(use.flags_read, kDf);
  EXPECT_EQ(use64({0xf3, 0xa6}).flags_killed, 0u);  // repe cmpsb of no bytes
}

TEST(Liveness, ZeroingIdiomsReadNothing) {
  EXPECT_EQ(use64({0x31, 0xc0}).gpr_read, 0);  // xor eax, eax
  EXPECT_EQ(use64({0x31, 0xc0}).gpr_killed, kRax);
  EXPECT_EQ(use64({0x30, 0xc0}).gpr_read, kRax);   // xor al, al leaves the rest
  EXPECT_EQ(use64({0x19, 0xc0}).flags_read, kCf);  // sbb eax, eax
}

TEST(Liveness, IncKeepsCarry) {
  const RegisterUse use = use64({0xff, 0xc0});
  EXPECT_EQ(use.flags_written, kStatus & ~kCf);
  EXPECT_EQ(use.flags_killed, kStatus & ~kCf);
}

TEST(Liveness, LogicKillsAllStatusFlags) {
  EXPECT_EQ(use64({0x85, 0xc0}).flags_killed, kStatus);  // test eax, eax: AF is undefined, but never kept
  EXPECT_EQ(use64({0x11, 0xc0}).flags_killed, kStatus & ~kCf);  // adc reads CF
}

TEST(Liveness, ShiftsKillFlagsOnlyIfTheyShift) {
  EXPECT_EQ(use64({0xd3, 0xe0}).flags_killed, 0u);  // shl eax, cl
  EXPECT_EQ(use64({0xd3, 0xe0}).flags_written, kStatus);
  EXPECT_EQ(use64({0xc1, 0xe0, 0x00}).flags_killed, 0u);
  EXPECT_EQ(use64({0xc1, 0xe0, 0x20}).flags_killed, 0u);  // 32 & 31
  EXPECT_EQ(use64({0x48, 0xc1, 0xe0, 0x20}).flags_killed, kStatus);
  EXPECT_EQ(use64({0xd1, 0xe0}).flags_killed, kStatus);            // shl eax, 1
  EXPECT_EQ(use64({0xd1, 0xc0}).flags_killed & ~(kCf | kOf), 0u);  // rol keeps the others
}

TEST(Liveness, UndefinedFlagsMayBeKept) {
  EXPECT_EQ(use64({0x48, 0x0f, 0xbc, 0xc1}).flags_killed, kZf);  // bsf
  EXPECT_EQ(use64({0x48, 0x0f, 0xbc, 0xc1}).flags_written, kStatus);
  EXPECT_EQ(use64({0x48, 0xf7, 0xe3}).flags_killed, kCf | kOf);  // mul
}

TEST(Liveness, BranchesReadTheirCondition) {
  EXPECT_EQ(use64({0x7e, 0x00}).flags_read, kZf | kSf | kOf);  // jle
  EXPECT_EQ(use64({0xe2, 0xfe}).gpr_read, kRcx);               // loop
}

TEST(Liveness, VectorCode) {
  EXPECT_TRUE(use64({0x0f, 0x58, 0xc1}).touches_simd_or_x87);
  EXPECT_TRUE(use64({0xd9, 0xe8}).touches_simd_or_x87);
  EXPECT_TRUE(use64({0x0f, 0xae, 0x00}).touches_simd_or_x87);  // fxsave
  EXPECT_FALSE(use64({0x01, 0xc0}).touches_simd_or_x87);
  EXPECT_EQ(use64({0xf3, 0x48, 0x0f, 0x2c, 0xc1}).gpr_killed, kRax);  // cvttss2si rax, xmm1
  EXPECT_EQ(use64({0x66, 0x0f, 0x2f, 0xc1}).flags_killed, kStatus);   // comisd
}

}  // namespace
}  // namespace eidolon::isa
