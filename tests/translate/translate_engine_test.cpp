#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

/// Runs the same code on both engines and compares the registers.
void expect_same(const std::vector<uint8_t>& code) {
  BareMachine stepped(false);
  BareMachine translated(true);
  EXPECT_EQ(stepped.run(code), Stop::kRequested);
  EXPECT_EQ(translated.run(code), Stop::kRequested);
  EXPECT_EQ(stepped.state().gpr, translated.state().gpr);
  EXPECT_EQ(stepped.state().rflags, translated.state().rflags);
  EXPECT_EQ(stepped.state().rip, translated.state().rip);
}

TEST(TranslateEngine, CountsInALoop) {
  // mov ecx, 1000; xor eax, eax; 1: add eax, ecx; dec ecx; jnz 1b
  expect_same({0xb9, 0xe8, 0x03, 0, 0, 0x31, 0xc0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa});
}

TEST(TranslateEngine, LoadsAndStores) {
  // mov rdi, kData; mov qword [rdi], 5; mov rax, [rdi]; add [rdi], rax; mov rbx, [rdi]; push rbx; pop rdx
  expect_same({0x48, 0xc7, 0xc7, 0x00, 0x00, 0x30, 0x00, 0x48, 0xc7, 0x07, 5,    0,   0,
               0,    0x48, 0x8b, 0x07, 0x48, 0x01, 0x07, 0x48, 0x8b, 0x1f, 0x53, 0x5a});
}

TEST(TranslateEngine, CallsAndReturns) {
  // mov ecx, 100; 1: call 2f; dec ecx; jnz 1b; jmp 3f; 2: add rax, 3; ret; 3:
  expect_same(
      {0xb9, 100, 0, 0, 0, 0xe8, 6, 0, 0, 0, 0xff, 0xc9, 0x75, 0xf7, 0xeb, 0x05, 0x48, 0x83, 0xc0, 3, 0xc3});
}

TEST(TranslateEngine, KeepsFlagsAcrossAccesses) {
  // mov rdi, kData; stc; mov rax, [rdi]; adc rax, 0; setc bl; cmp eax, 7; mov rcx, [rdi]; setl dl; sbb rsi,
  // rsi
  expect_same({0x48, 0xc7, 0xc7, 0x00, 0x00, 0x30, 0x00, 0xf9, 0x48, 0x8b, 0x07, 0x48, 0x83, 0xd0, 0x00,
               0x0f, 0x92, 0xc3, 0x83, 0xf8, 0x07, 0x48, 0x8b, 0x0f, 0x0f, 0x9c, 0xc2, 0x48, 0x19, 0xf6});
}

TEST(TranslateEngine, SeesModifiedCode) {
  // mov byte [rip + 1], 7; mov eax, 1 (whose immediate becomes 7): the change holds for the next instruction.
  BareMachine machine(true);
  machine.run({0xc6, 0x05, 1, 0, 0, 0, 7, 0xb8, 1, 0, 0, 0});
  EXPECT_EQ(machine.state().gpr[x86::kRax], 7u);
}

}  // namespace
}  // namespace eidolon::engine
