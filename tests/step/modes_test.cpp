// 16- and 32-bit code, segments, and the checks of CR0 and CR4.
#include "step/fixture.h"

namespace eidolon::engine {
namespace {

TEST_F(StepTest, RealModeAddressesThroughASegment) {
  state.segment[x86::kDs].base = 0x20000;
  state.gpr[x86::kRbx] = 0x10;
  state.gpr[x86::kRsi] = 0xfff8;
  put<uint16_t>(0x20008, 0xbeef);
  code({0x8b, 0x00});  // mov ax, [bx+si]: the sum wraps at 64 KiB
  EXPECT_EQ(execute(), -1);
  EXPECT_EQ(state.gpr[x86::kRax] & 0xffff, 0xbeefu);
  EXPECT_EQ(state.rip, 0x1002u);
}

TEST_F(StepTest, AWordAtTheEndOfASegmentFaults) {
  state.gpr[x86::kRbx] = 0xffff;
  code({0x8b, 0x07});  // mov ax, [bx]
  EXPECT_EQ(execute(), x86::kGeneralProtection);
}

TEST_F(StepTest, UnrealModeReachesBeyond64K) {
  state.segment[x86::kDs].limit = 0xffffffff;
  state.gpr[x86::kRbx] = 0x123450;
  put<uint32_t>(0x123450, 0xcafe);
  code({0x67, 0x66, 0x8b, 0x03});  // mov eax, [ebx]
  EXPECT_EQ(execute(), -1);
  EXPECT_EQ(state.gpr[x86::kRax], 0xcafeu);
}

TEST_F(StepTest, CodeBeyondTheLimitOfCsFaults) {
  state.rip = 0xfffe;
  code({0xb8, 0x34});  // mov ax, imm16, of which the last byte lies beyond
  EXPECT_EQ(execute(), x86::kGeneralProtection);
  EXPECT_EQ(state.rip, 0xfffeu);
}

TEST_F(StepTest, A16BitJumpTruncatesItsTarget) {
  state.rip = 0xfff0;
  code({0xeb, 0x20});  // jmp +32
  EXPECT_EQ(execute(), -1);
  EXPECT_EQ(state.rip, 0x12u);
}

TEST_F(StepTest, VexIsUndefinedInRealMode) {
  code({0xc4, 0xe2, 0x78, 0xf2, 0xc0});  // andn
  EXPECT_EQ(execute(), x86::kInvalidOpcode);
}

TEST_F(StepTest, TaskSwitchedMakesSseUnavailable) {
  long_mode();
  state.control.cr0 |= x86::kCr0Ts;
  code({0x0f, 0x57, 0xc0});  // xorps xmm0, xmm0
  EXPECT_EQ(execute(), x86::kDeviceNotAvailable);
}

TEST_F(StepTest, SseWithoutTheOsIsUndefined) {
  long_mode();
  state.control.cr4 &= ~x86::kCr4OsFxsr;
  code({0x0f, 0x57, 0xc0});
  EXPECT_EQ(execute(), x86::kInvalidOpcode);
}

TEST_F(StepTest, DivisionByZeroChangesNothing) {
  long_mode();
  state.gpr[x86::kRax] = 7;
  state.gpr[x86::kRcx] = 0;
  const auto before = state.gpr;
  code({0xf7, 0xf1});  // div ecx
  EXPECT_EQ(execute(), x86::kDivideError);
  EXPECT_EQ(state.gpr, before);
  EXPECT_EQ(state.rip, kCode);
}

TEST_F(StepTest, ASimdExceptionWithoutOsXmmExcptIsUndefined) {
  long_mode();
  const uint32_t all_unmasked = 0;
  std::memcpy(state.fpu.bytes.data() + 24, &all_unmasked, sizeof all_unmasked);
  code({0xf3, 0x0f, 0x51, 0x03});  // sqrtss xmm0, [rbx]
  state.gpr[x86::kRbx] = kData;
  put<uint32_t>(kData, 0xbf800000);  // -1
  EXPECT_EQ(execute(), x86::kInvalidOpcode);
  state.control.cr4 |= x86::kCr4OsXmmExcpt;
  EXPECT_EQ(execute(), x86::kSimdFault);
}

TEST_F(StepTest, RepeatedStoresGiveWayToEvents) {
  long_mode();
  state.gpr[x86::kRdi] = kData;
  state.gpr[x86::kRcx] = 0x100000;
  code({0xf3, 0xaa});  // rep stosb
  EXPECT_EQ(execute(), -1);
  EXPECT_EQ(state.rip, kCode);
  EXPECT_LT(state.gpr[x86::kRcx], 0x100000u);
  EXPECT_EQ(state.gpr[x86::kRdi] - kData, 0x100000 - state.gpr[x86::kRcx]);
}

// With an unmasked exception pending: without one, AMD's processors save no pointer.
TEST_F(StepTest, TheX87InstructionPointerIsTheGuests) {
  long_mode();
  const uint16_t zero_divide_unmasked = 0x037b;
  std::memcpy(state.fpu.bytes.data(), &zero_divide_unmasked, sizeof zero_divide_unmasked);
  state.fpu.bytes[512] |= x86::kXcr0X87;
  code({0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9});  // fld1; fldz; fdivp
  for (int i = 0; i < 3; ++i) EXPECT_EQ(execute(), -1);
  uint64_t pointer;
  std::memcpy(&pointer, state.fpu.bytes.data() + 8, sizeof pointer);
  EXPECT_EQ(pointer, kCode + 4);
}

}  // namespace
}  // namespace eidolon::engine
