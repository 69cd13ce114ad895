#include "cpu/debug.h"

#include "cpu/fixture.h"

namespace eidolon::cpu {

namespace {

using namespace x86;

class Debug : public CpuTest {
 protected:
  Debug() { long_mode(); }
  /// Breakpoint `index`: `type` 0 execute, 1 write, 2 port, 3 read or write; `length` as DR7 encodes it.
  void set(unsigned index, uint64_t address, unsigned type, unsigned length) {
    state.dr[index] = address;
    state.dr7 |= 2ull << (index * 2) | uint64_t{type | length << 2} << (16 + index * 4);
  }
};

TEST_F(Debug, InstructionBreakpoints) {
  EXPECT_FALSE(breakpoints_enabled(state));
  set(1, kCode, 0, 0);
  EXPECT_TRUE(breakpoints_enabled(state));
  const auto hit = instruction_breakpoint(state, kCode);
  ASSERT_TRUE(hit);
  EXPECT_EQ(hit->vector, kDebug);
  EXPECT_EQ(hit->address, 2u);
  EXPECT_FALSE(hit->trap);
  EXPECT_FALSE(instruction_breakpoint(state, kCode + 1));
  state.rflags |= kFlagRf;
  EXPECT_FALSE(instruction_breakpoint(state, kCode));
}

TEST_F(Debug, TheShadowOfMovSsHoldsBackEverything) {
  set(0, kCode, 0, 0);
  state.interrupt_shadow = kCode;
  EXPECT_TRUE(instruction_breakpoint(state, kCode));  // STI's does not
  state.shadow_blocks_debug = true;
  EXPECT_FALSE(instruction_breakpoint(state, kCode));
  state.pending_debug = 1;
  EXPECT_FALSE(debug_trap(state, true));
  state.interrupt_shadow = State::kNoShadow;
  const auto later = debug_trap(state, false);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->address, 1u);
}

TEST_F(Debug, DataBreakpointsMatchByOverlap) {
  set(0, 0x1000, 1, 3);  // four bytes, writes
  set(2, 0x2000, 3, 2);  // eight bytes, reads and writes
  note_data_access(state, 0x1000, 4, false);
  EXPECT_EQ(state.pending_debug, 0u);
  note_data_access(state, 0x0ffd, 4, true);
  EXPECT_EQ(state.pending_debug, 1u);
  note_data_access(state, 0x2008, 8, false);
  EXPECT_EQ(state.pending_debug, 1u);
  note_data_access(state, 0x2007, 1, false);
  EXPECT_EQ(state.pending_debug, 5u);
  const auto trap = debug_trap(state, true);
  ASSERT_TRUE(trap);
  EXPECT_EQ(trap->address, 5u | kDr6SingleStep);
  EXPECT_TRUE(trap->trap);
  EXPECT_EQ(state.pending_debug, 0u);
}

TEST_F(Debug, SensitiveInstructionsReportTheirAccesses) {
  set(3, kData, 1, 0);
  state.gpr[kRdi] = kData;
  ASSERT_TRUE(run({0x0f, 0x01, 0x07}));  // sgdt [rdi]
  EXPECT_EQ(state.pending_debug, 8u);
}

TEST_F(Debug, PortBreakpointsNeedDe) {
  set(0, 0x104, 2, 1);
  state.gpr[kRdx] = 0x105;
  ASSERT_TRUE(run({0xec}));
  EXPECT_EQ(state.pending_debug, 0u);
  state.control.cr4 |= kCr4De;
  ASSERT_TRUE(run({0xec}));
  EXPECT_EQ(state.pending_debug, 1u);
}

TEST_F(Debug, RegistersAndAliases) {
  state.gpr[kRax] = 0xffffffff;
  ASSERT_TRUE(run({0x0f, 0x23, 0xe0}));  // mov dr4, rax
  EXPECT_EQ(state.dr6, 0xffffeffful);
  ASSERT_TRUE(run({0x0f, 0x21, 0xf3}));  // mov rbx, dr6
  EXPECT_EQ(state.gpr[kRbx], 0xffffefffu);
  state.control.cr4 |= kCr4De;
  EXPECT_EQ(vector_of(run({0x0f, 0x23, 0xe0})), kInvalidOpcode);
  EXPECT_EQ(vector_of(run({0x0f, 0x21, 0xe8})), kInvalidOpcode);
  state.gpr[kRax] = uint64_t{1} << 32;
  EXPECT_EQ(vector_of(run({0x0f, 0x23, 0xf8})), kGeneralProtection);  // mov dr7, rax
  ASSERT_TRUE(run({0x0f, 0x23, 0xd8}));                               // mov dr3, rax
  EXPECT_EQ(state.dr[3], uint64_t{1} << 32);
}

TEST_F(Debug, GeneralDetectGuardsTheRegisters) {
  state.gpr[kRax] = kDr7GeneralDetect;
  ASSERT_TRUE(run({0x0f, 0x23, 0xf8}));
  const auto fault = run({0x0f, 0x21, 0xc0});
  ASSERT_FALSE(fault);
  EXPECT_EQ(fault.error().vector, kDebug);
  EXPECT_EQ(fault.error().address, kDr6DebugAccess);
  EXPECT_FALSE(fault.error().trap);
}

}  // namespace

}  // namespace eidolon::cpu
