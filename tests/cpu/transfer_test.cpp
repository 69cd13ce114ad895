#include "cpu/transfer.h"

#include "cpu/transfer_tables.h"

namespace eidolon::cpu {

namespace {

using x86::kCs;
using x86::kDs;
using x86::kSs;

class Transfer : public TablesTest {
 protected:
  void call_gate(unsigned type, uint16_t selector, uint64_t offset, unsigned dpl, unsigned count = 0) {
    put<uint64_t>(kGdt + kFree, gate_word(type, selector, offset, dpl, count));
    put<uint64_t>(kGdt + kFree + 8, offset >> 32);
  }
  static constexpr uint64_t kNext = kCode + 7;
};

TEST_F(Transfer, RealModeJumpCallReturn) {
  real_mode();
  ASSERT_TRUE(far_jump(*cpu, 0x1234, 0x10056, 2, 0));
  EXPECT_EQ(state.segment[kCs].base, 0x12340u);
  EXPECT_EQ(state.rip, 0x56u);
  ASSERT_TRUE(far_call(*cpu, 0x2000, 0x78, 2, 0x5b));
  EXPECT_EQ(rsp(), 0x7ffcu);
  EXPECT_EQ(stack<uint16_t>(0), 0x5b);
  EXPECT_EQ(stack<uint16_t>(1), 0x1234);
  ASSERT_TRUE(far_return(*cpu, 2, 4));
  EXPECT_EQ(state.segment[kCs].base, 0x12340u);
  EXPECT_EQ(state.rip, 0x5bu);
  EXPECT_EQ(rsp(), 0x8004u);
  EXPECT_EQ(fault_of(far_jump(*cpu, 0, 0x10000, 4, 0)), "13(0x0)");
}

TEST_F(Transfer, DirectJumpChecksItsSegment) {
  protected_tables();
  EXPECT_EQ(fault_of(far_jump(*cpu, 0, 0, 4, kNext)), "13(0x0)");
  EXPECT_EQ(fault_of(far_jump(*cpu, kData0, 0, 4, kNext)), "13(0x10)");
  EXPECT_EQ(fault_of(far_jump(*cpu, kCode3, 0, 4, kNext)), "13(0x18)");
  EXPECT_EQ(fault_of(far_jump(*cpu, kNotPresent, 0, 4, kNext)), "11(0x30)");
  EXPECT_EQ(fault_of(far_jump(*cpu, kSmallCode, 0x1000, 4, kNext)), "13(0x0)");
  EXPECT_EQ(state.rip, kCode);
  ASSERT_TRUE(far_jump(*cpu, kCode16, 0x51234, 2, kNext));
  EXPECT_EQ(state.rip, 0x1234u);
  EXPECT_EQ(code_size(state), isa::CodeSize::k16);
}

TEST_F(Transfer, ConformingCodeKeepsTheLevel) {
  protected_tables(3);
  ASSERT_TRUE(far_jump(*cpu, kConforming0, kHandler, 4, kNext));
  EXPECT_EQ(selector(kCs), kConforming0 | 3);
  EXPECT_EQ(state.cpl(), 3u);
}

TEST_F(Transfer, CallPushesByOperandSizeAndRestoresNothingOnAFault) {
  protected_tables();
  ASSERT_TRUE(far_call(*cpu, kCode0, kHandler, 4, kNext));
  EXPECT_EQ(rsp(), kStackTop - 8);
  EXPECT_EQ(stack<uint32_t>(0), kNext);
  EXPECT_EQ(stack<uint32_t>(1), kCode0);
  state.segment[kSs].limit = kStackTop - 13;
  EXPECT_EQ(fault_of(far_call(*cpu, kCode0, 0, 4, kNext)), "12(0x0)");
  EXPECT_EQ(rsp(), kStackTop - 8);
  EXPECT_EQ(state.rip, kHandler);
}

TEST_F(Transfer, CompatibilityModeAndBack) {
  long_tables();
  ASSERT_TRUE(far_call(*cpu, kCode0, kHandler, 8, kNext));
  EXPECT_EQ(code_size(state), isa::CodeSize::k32);
  EXPECT_EQ(get<uint64_t>(kStackTop - 16), kNext);
  ASSERT_TRUE(far_jump(*cpu, kLong0, kCode, 4, 0));
  EXPECT_TRUE(state.long_code());
  EXPECT_EQ(fault_of(far_jump(*cpu, kLong0, 0x8000'0000'0000, 8, 0)), "13(0x0)");
  descriptor(kFree, kFlatCode | x86::kAttrLong | x86::kAttrBig);
  EXPECT_EQ(fault_of(far_jump(*cpu, kFree, 0, 4, 0)), "13(0x80)");
}

TEST_F(Transfer, CallGateCopiesParametersToTheInnerStack) {
  protected_tables(3);
  call_gate(x86::kCallGate32, kCode0, kHandler, 3, 2);
  push<uint32_t>({0xaaaa, 0xbbbb});
  ASSERT_TRUE(far_call(*cpu, kFree | 3, 0x999, 4, kNext));
  EXPECT_EQ(state.rip, kHandler);
  EXPECT_EQ(state.cpl(), 0u);
  EXPECT_EQ(selector(kCs), kCode0);
  EXPECT_EQ(rsp(), kInnerStack - 24);
  EXPECT_EQ(stack<uint32_t>(0), kNext);
  EXPECT_EQ(stack<uint32_t>(1), kCode3);
  EXPECT_EQ(stack<uint32_t>(2), 0xbbbbu);
  EXPECT_EQ(stack<uint32_t>(3), 0xaaaau);
  EXPECT_EQ(stack<uint32_t>(4), kStackTop - 8);
  EXPECT_EQ(stack<uint32_t>(5), kData3);

  state.segment[kDs].attributes &= ~x86::kAttrDpl;  // RET drops what the outer level may not use
  ASSERT_TRUE(far_return(*cpu, 4, 8));
  EXPECT_EQ(state.rip, kNext);
  EXPECT_EQ(state.cpl(), 3u);
  EXPECT_EQ(rsp(), kStackTop);
  EXPECT_EQ(selector(kDs), 0);
  EXPECT_FALSE(state.segment[kDs].usable());
  EXPECT_TRUE(state.segment[x86::kEs].usable());
}

TEST_F(Transfer, CallGatePrivilegeAndPresence) {
  protected_tables(3);
  call_gate(x86::kCallGate32, kCode0, kHandler, 0);
  EXPECT_EQ(fault_of(far_call(*cpu, kFree, 0, 4, kNext)), "13(0x80)");
  call_gate(x86::kCallGate32, kNotPresent, kHandler, 3);
  EXPECT_EQ(fault_of(far_call(*cpu, kFree, 0, 4, kNext)), "11(0x30)");
  call_gate(x86::kCallGate32, 0, kHandler, 3);
  EXPECT_EQ(fault_of(far_call(*cpu, kFree, 0, 4, kNext)), "13(0x0)");
  call_gate(x86::kCallGate32, kCode0, kHandler, 3);
  EXPECT_EQ(fault_of(far_jump(*cpu, kFree, 0, 4, kNext)), "13(0x8)");  // JMP stays at its level
  put<uint8_t>(kGdt + kFree + 5, 0x60 | x86::kCallGate32);
  EXPECT_EQ(fault_of(far_call(*cpu, kFree, 0, 4, kNext)), "11(0x80)");
  EXPECT_EQ(rsp(), kStackTop);
}

TEST_F(Transfer, SameLevelGateOf16Bits) {
  protected_tables();
  call_gate(x86::kCallGate16, kCode0, 0x51234, 0);
  ASSERT_TRUE(far_call(*cpu, kFree, 0, 4, kNext));
  EXPECT_EQ(state.rip, 0x1234u);
  EXPECT_EQ(rsp(), kStackTop - 4);
  EXPECT_EQ(stack<uint16_t>(1), kCode0);
}

TEST_F(Transfer, LongCallGateFromUser) {
  long_tables(3);
  call_gate(x86::kCallGate32, kLong0, 0xffff800000012340, 3);
  ASSERT_TRUE(far_call(*cpu, kFree | 3, 0, 4, kNext));
  EXPECT_EQ(state.rip, 0xffff800000012340u);
  EXPECT_EQ(rsp(), kInnerStack - 32);
  EXPECT_EQ(stack<uint64_t>(0), kNext);
  EXPECT_EQ(stack<uint64_t>(2), kStackTop);
  EXPECT_EQ(selector(kSs), 0);
  ASSERT_TRUE(far_return(*cpu, 8, 0));
  EXPECT_EQ(state.rip, kNext);
  EXPECT_EQ(selector(kSs), kData3);
  EXPECT_EQ(rsp(), kStackTop);
}

TEST_F(Transfer, LongModeHasNeitherTasksNor16BitGates) {
  long_tables();
  call_gate(x86::kCallGate16, kLong0, kHandler, 0);
  EXPECT_EQ(fault_of(far_call(*cpu, kFree, 0, 4, kNext)), "13(0x80)");
  descriptor(kFree, x86::kAttrPresent | x86::kTss32Available);
  EXPECT_EQ(fault_of(far_jump(*cpu, kFree, 0, 4, kNext)), "13(0x80)");
  call_gate(x86::kCallGate32, kCode0, kHandler, 0);
  EXPECT_EQ(fault_of(far_call(*cpu, kFree, 0, 4, kNext)), "13(0x8)");
}

TEST_F(Transfer, ReturnChecksBothSegments) {
  protected_tables(3);
  push<uint32_t>({kCode0, kHandler});
  EXPECT_EQ(fault_of(far_return(*cpu, 4, 0)), "13(0x8)");  // inwards
  protected_tables();
  push<uint32_t>({kData0, kStackTop, kCode3, kHandler});
  EXPECT_EQ(fault_of(far_return(*cpu, 4, 0)), "13(0x10)");  // SS of the wrong level
  push<uint32_t>({0, kHandler});
  EXPECT_EQ(fault_of(far_return(*cpu, 4, 0)), "13(0x0)");
  push<uint32_t>({0, kStackTop, kCode3, kHandler});
  EXPECT_EQ(fault_of(far_return(*cpu, 4, 0)), "13(0x0)");  // SS null
  EXPECT_EQ(rsp(), kStackTop - 40);
}

TEST_F(Transfer, ReturnTo16BitStackKeepsTheUpperHalf) {
  protected_tables();
  descriptor(kFree, (kFlat & ~x86::kAttrGranular) | kDpl3, 0, 0xffff);
  push<uint32_t>({kFree | 3, 0x12345678, kCode3, kHandler});
  const uint64_t upper = rsp() & 0xffff0000;
  ASSERT_TRUE(far_return(*cpu, 4, 0));
  EXPECT_EQ(rsp(), upper | 0x5678);
}

TEST_F(Transfer, InterruptReturnInRealMode) {
  real_mode();
  push<uint16_t>({0x7fd7, 0x1234, 0x56});
  state.nmi_blocked = true;
  ASSERT_TRUE(interrupt_return(*cpu, 2, 0));
  EXPECT_EQ(state.rip, 0x56u);
  EXPECT_EQ(state.rflags, 0x7fd7u);
  EXPECT_EQ(rsp(), 0x8000u);
  EXPECT_FALSE(state.nmi_blocked);
}

TEST_F(Transfer, InterruptReturnToTheSameLevel) {
  protected_tables();
  push<uint32_t>({x86::kFlagIf | x86::kFlagRf | 3 << x86::kFlagIoplShift, kCode0, kHandler});
  ASSERT_TRUE(interrupt_return(*cpu, 4, kNext));
  EXPECT_EQ(state.rip, kHandler);
  EXPECT_EQ(rsp(), kStackTop);
  EXPECT_EQ(state.rflags, x86::kFlagFixed | x86::kFlagIf | x86::kFlagRf | 3u << x86::kFlagIoplShift);
}

TEST_F(Transfer, InterruptReturnAtUserLevelCannotChangeIopl) {
  protected_tables(3);
  state.rflags |= x86::kFlagIf;
  push<uint32_t>({x86::kFlagIopl | x86::kFlagVif | x86::kFlagCf, kCode3, kHandler});
  ASSERT_TRUE(interrupt_return(*cpu, 4, kNext));
  EXPECT_EQ(state.rflags, x86::kFlagFixed | x86::kFlagIf | x86::kFlagCf);
}

TEST_F(Transfer, InterruptReturnToVirtual8086) {
  protected_tables();
  push<uint32_t>({6, 5, 4, 3, 2, 0x9000, x86::kFlagVm | x86::kFlagIf | x86::kFlagIopl, 0x1234, 0x56});
  ASSERT_TRUE(interrupt_return(*cpu, 4, kNext));
  EXPECT_TRUE(state.virtual_8086());
  EXPECT_EQ(state.cpl(), 3u);
  EXPECT_EQ(state.segment[kCs].base, 0x12340u);
  EXPECT_EQ(selector(kSs), 2);
  EXPECT_EQ(selector(x86::kEs), 3);
  EXPECT_EQ(selector(kDs), 4);
  EXPECT_EQ(selector(x86::kFs), 5);
  EXPECT_EQ(selector(x86::kGs), 6);
  EXPECT_EQ(rsp(), 0x9000u);
  EXPECT_EQ(state.iopl(), 3u);
}

TEST_F(Transfer, InterruptReturnInVirtual8086) {
  v86_tables(3);
  push<uint16_t>({0x0202 | x86::kFlagNt, 0x1234, 0x56});
  ASSERT_TRUE(interrupt_return(*cpu, 2, 0));
  EXPECT_EQ(state.iopl(), 3u);
  EXPECT_EQ(state.segment[kCs].base, 0x12340u);
  v86_tables(0);
  push<uint16_t>({0x0202, 0x1234, 0x56});
  EXPECT_EQ(fault_of(interrupt_return(*cpu, 2, 0)), "13(0x0)");
  state.control.cr4 |= x86::kCr4Vme;
  ASSERT_TRUE(interrupt_return(*cpu, 2, 0));
  EXPECT_EQ(state.rflags & (x86::kFlagIf | x86::kFlagVif), x86::kFlagVif);
  push<uint16_t>({0x0202, 0x1234, 0x56});
  state.rflags |= x86::kFlagVip;
  EXPECT_EQ(fault_of(interrupt_return(*cpu, 2, 0)), "13(0x0)");
}

TEST_F(Transfer, InterruptReturnFrom64BitModeAlwaysPopsTheStack) {
  long_tables();
  push<uint64_t>({0, 0x30008, x86::kFlagIf, kLong0, 0xffff800000012340});
  ASSERT_TRUE(interrupt_return(*cpu, 8, kNext));
  EXPECT_EQ(rsp(), 0x30008u);
  EXPECT_EQ(selector(kSs), 0);
  EXPECT_EQ(state.rip, 0xffff800000012340u);
  push<uint64_t>({kData3, 0x7fff'ffff'f000, 0x202, kLong3, kHandler});
  state.segment[x86::kFs] = null_segment(2);
  state.segment[x86::kFs].base = 0x7777'0000'0000;
  ASSERT_TRUE(interrupt_return(*cpu, 8, kNext));
  EXPECT_EQ(state.cpl(), 3u);
  EXPECT_EQ(rsp(), 0x7fff'ffff'f000u);
  EXPECT_EQ(state.segment[x86::kFs].base, 0x7777'0000'0000u);
}

TEST_F(Transfer, InterruptReturnToCompatibilityMode) {
  long_tables();
  push<uint64_t>({kData3, 0x1'0003'0000, 0x202, kCode3, kHandler});
  ASSERT_TRUE(interrupt_return(*cpu, 8, kNext));
  EXPECT_EQ(code_size(state), isa::CodeSize::k32);
  EXPECT_EQ(rsp(), 0x30000u);
  EXPECT_EQ(state.cpl(), 3u);
}

TEST_F(Transfer, InterruptReturnFaultsInLongMode) {
  long_tables();
  push<uint64_t>({kData3, 0x30000, 0x202, kLong3, 0x8000'0000'0000});
  EXPECT_EQ(fault_of(interrupt_return(*cpu, 8, kNext)), "13(0x0)");  // not canonical
  EXPECT_EQ(state.cpl(), 0u);
  push<uint64_t>({3, 0x30000, 0x202, kLong3, kHandler});
  EXPECT_EQ(fault_of(interrupt_return(*cpu, 8, kNext)), "13(0x0)");  // SS null at CPL 3
  push<uint64_t>({0, 0x30000, 0x202, kCode0, kHandler});
  EXPECT_EQ(fault_of(interrupt_return(*cpu, 8, kNext)), "13(0x0)");  // SS null for 32-bit code
  state.rflags |= x86::kFlagNt;
  EXPECT_EQ(fault_of(interrupt_return(*cpu, 8, kNext)), "13(0x0)");
}

}  // namespace
}  // namespace eidolon::cpu
