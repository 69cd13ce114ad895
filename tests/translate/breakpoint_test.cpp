// A debugger's breakpoints under `translate`, and under `step`, which it comes to.
#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

class Breakpoint : public testing::TestWithParam<bool> {
 protected:
  Breakpoint() : machine_(GetParam()) {}
  void add(uint64_t linear) {
    breakpoints_.add(linear);
    machine_.cpu().breakpoints = &breakpoints_;
  }
  void remove(uint64_t linear) {
    breakpoints_.remove(linear);
    if (breakpoints_.addresses().empty()) machine_.cpu().breakpoints = nullptr;
  }
  Stop go_on() { return machine_.engine().run(); }
  uint64_t rip() { return machine_.state().rip; }
  uint64_t& rax() { return machine_.state().gpr[x86::kRax]; }
  uint64_t& rcx() { return machine_.state().gpr[x86::kRcx]; }

  static constexpr uint64_t kCode = BareMachine::kCode;
  /// mov ecx, 1000; xor eax, eax; 1: inc eax; dec ecx; jnz 1b
  const std::vector<uint8_t> kLoop = {0xb9, 0xe8, 0x03, 0, 0, 0x31, 0xc0, 0xff, 0xc0, 0xff, 0xc9, 0x75, 0xfa};
  static constexpr uint64_t kInc = kCode + 7, kDec = kCode + 9, kEnd = kCode + 13;

  BareMachine machine_;
  cpu::Breakpoints breakpoints_;
};

TEST_P(Breakpoint, StopsBeforeTheInstruction) {
  add(kDec);
  EXPECT_EQ(machine_.run(kLoop), Stop::kBreakpoint);
  EXPECT_EQ(rip(), kDec);
  EXPECT_EQ(rax(), 1u);
  EXPECT_EQ(rcx(), 1000u);
}

TEST_P(Breakpoint, IsMetAgainAsLongAsItIsThere) {
  add(kDec);
  EXPECT_EQ(machine_.run(kLoop), Stop::kBreakpoint);
  EXPECT_EQ(go_on(), Stop::kBreakpoint);
  EXPECT_EQ(rip(), kDec);
  EXPECT_EQ(rax(), 1u);
}

/// What has been translated and linked without it does not run over it.
TEST_P(Breakpoint, IsMetInCodeThatHasRunBefore) {
  EXPECT_EQ(machine_.run(kLoop), Stop::kRequested);
  EXPECT_EQ(rax(), 1000u);
  add(kDec);
  EXPECT_EQ(machine_.run_at(kCode), Stop::kBreakpoint);
  EXPECT_EQ(rax(), 1u);
  remove(kDec);
  add(kInc);
  EXPECT_EQ(go_on(), Stop::kBreakpoint);
  EXPECT_EQ(rip(), kInc);
  EXPECT_EQ(rcx(), 999u);
  remove(kInc);
  add(kEnd);
  EXPECT_EQ(go_on(), Stop::kBreakpoint);
  EXPECT_EQ(rax(), 1000u);
  remove(kEnd);
  EXPECT_EQ(go_on(), Stop::kRequested);
  EXPECT_EQ(machine_.run_at(kCode), Stop::kRequested) << "nothing is left of them";
}

TEST_P(Breakpoint, ThatIsNotAtAnInstructionIsNotMet) {
  add(kCode + 1);
  add(kDec + 1);
  EXPECT_EQ(machine_.run(kLoop), Stop::kRequested);
  EXPECT_EQ(rax(), 1000u);
}

TEST_P(Breakpoint, IsLinearNotPhysical) {
  constexpr uint64_t kElsewhere = uint64_t{1} << 39;
  machine_.show_at(kElsewhere);
  add(kDec + kElsewhere);
  EXPECT_EQ(machine_.run(kLoop), Stop::kRequested);
  EXPECT_EQ(machine_.run_at(kCode + kElsewhere), Stop::kBreakpoint) << "nor in a copied block";
  EXPECT_EQ(rip(), kDec + kElsewhere);
}

/// Behind a call, a return and a string instruction, by whatever way one gets there.
TEST_P(Breakpoint, IsMetAfterEachKindOfJump) {
  // call 2f; 1: lea rdi, [kData]; mov ecx, 3; rep stosb; jmp 3f; 2: ret; 3: nop
  const std::vector<uint8_t> code = {0xe8, 0x10, 0, 0,    0,    0xbf, 0,    0,    0x30, 0,    0xb9, 3,
                                     0,    0,    0, 0xf3, 0xaa, 0xeb, 0x03, 0x90, 0x90, 0xc3, 0x90};
  machine_.place(code);
  for (int round = 0; round < 3; ++round) EXPECT_EQ(machine_.run_at(kCode), Stop::kRequested);
  add(kCode + 5);
  add(kCode + 17);
  add(kCode + 21);
  EXPECT_EQ(machine_.run_at(kCode), Stop::kBreakpoint);
  EXPECT_EQ(rip(), kCode + 21) << "the return";
  remove(kCode + 21);
  EXPECT_EQ(go_on(), Stop::kBreakpoint);
  EXPECT_EQ(rip(), kCode + 5) << "where it returns to";
  remove(kCode + 5);
  EXPECT_EQ(go_on(), Stop::kBreakpoint);
  EXPECT_EQ(rip(), kCode + 17);
  EXPECT_EQ(rcx(), 0u);
}

TEST_P(Breakpoint, LeavesTheGuestsDebugRegistersAlone) {
  add(kDec);
  const uint64_t dr6 = machine_.state().dr6;
  EXPECT_EQ(machine_.run(kLoop), Stop::kBreakpoint);
  EXPECT_EQ(machine_.state().dr6, dr6);
  EXPECT_EQ(machine_.state().dr7, 0x400u);
  EXPECT_EQ(machine_.state().rflags & x86::kFlagRf, 0u);
}

INSTANTIATE_TEST_SUITE_P(Engines, Breakpoint, testing::Bool(),
                         [](const auto& test) { return test.param ? "translate" : "step"; });

}  // namespace
}  // namespace eidolon::engine
