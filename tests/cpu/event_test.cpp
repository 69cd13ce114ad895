#include "cpu/event.h"

#include "cpu/transfer_tables.h"

namespace eidolon::cpu {

namespace {

using x86::kCs;
using x86::kFlagIf;
using x86::kFlagRf;
using x86::kSs;

class Event : public TablesTest {
 protected:
  static constexpr uint64_t kFlags = kFlagIf | x86::kFlagFixed | x86::kFlagCf;
};

TEST_F(Event, RealModeVectorTable) {
  real_mode();
  state.rflags = kFlags | x86::kFlagTf;
  put<uint32_t>(0x21 * 4, 0x12340567);
  ASSERT_TRUE(deliver_interrupt(*cpu, 0x21));
  EXPECT_EQ(state.segment[kCs].base, 0x12340u);
  EXPECT_EQ(state.rip, 0x567u);
  EXPECT_EQ(rsp(), 0x7ffau);
  EXPECT_EQ(stack<uint16_t>(0), 0x1000);
  EXPECT_EQ(stack<uint16_t>(2), kFlags | x86::kFlagTf);
  EXPECT_EQ(state.rflags, x86::kFlagFixed | x86::kFlagCf);
}

TEST_F(Event, RealModeShutsDownWithoutATable) {
  real_mode();
  state.idtr.limit = 0x10;
  EXPECT_FALSE(deliver_fault(*cpu, {.vector = x86::kInvalidOpcode}));
  EXPECT_EQ(state.activity, Activity::kShutdown);
}

TEST_F(Event, InterruptGateAtTheSameLevel) {
  protected_tables();
  state.rflags = kFlags | x86::kFlagNt;
  idt_gate(0x30, x86::kInterruptGate32, kCode0, kHandler);
  ASSERT_TRUE(deliver_interrupt(*cpu, 0x30));
  EXPECT_EQ(state.rip, kHandler);
  EXPECT_EQ(rsp(), kStackTop - 12);
  EXPECT_EQ(stack<uint32_t>(0), kCode);
  EXPECT_EQ(stack<uint32_t>(1), kCode0);
  EXPECT_EQ(stack<uint32_t>(2), kFlags | x86::kFlagNt);
  EXPECT_EQ(state.rflags, x86::kFlagFixed | x86::kFlagCf);
}

TEST_F(Event, TrapGateKeepsInterruptsAnd16BitGatePushesWords) {
  protected_tables();
  state.rflags = kFlags;
  idt_gate(x86::kGeneralProtection, x86::kTrapGate16, kCode0, 0x51234);
  ASSERT_TRUE(deliver_fault(*cpu, {.vector = x86::kGeneralProtection, .error = 0x58}));
  EXPECT_EQ(state.rip, 0x1234u);
  EXPECT_EQ(rsp(), kStackTop - 8);
  EXPECT_EQ(stack<uint16_t>(0), 0x58);
  EXPECT_EQ(state.rflags & kFlagIf, kFlagIf);
}

TEST_F(Event, InnerLevelTakesItsStackFromTheTss) {
  protected_tables(3);
  idt_gate(x86::kPageFault, x86::kInterruptGate32, kCode0, kHandler);
  ASSERT_TRUE(deliver_fault(*cpu, {.vector = x86::kPageFault, .error = 6, .address = 0xabc}));
  EXPECT_EQ(state.cpl(), 0u);
  EXPECT_EQ(selector(kSs), kData0);
  EXPECT_EQ(rsp(), kInnerStack - 24);
  EXPECT_EQ(stack<uint32_t>(0), 6u);
  EXPECT_EQ(stack<uint32_t>(1), kCode);
  EXPECT_EQ(stack<uint32_t>(2), kCode3);
  EXPECT_EQ(stack<uint32_t>(3), x86::kFlagFixed | kFlagRf);  // a fault
  EXPECT_EQ(stack<uint32_t>(4), kStackTop);
  EXPECT_EQ(stack<uint32_t>(5), kData3);
  EXPECT_EQ(state.cr2, 0xabcu);
}

TEST_F(Event, StackOf16BitTss) {
  protected_tables(3);
  state.tr.attributes = x86::kAttrPresent | x86::kTss16Busy;
  put<uint32_t>(kTss + 2, uint32_t{kData0} << 16 | 0x9000);
  idt_gate(0x30, x86::kInterruptGate32, kCode0, kHandler);
  ASSERT_TRUE(deliver_interrupt(*cpu, 0x30));
  EXPECT_EQ(rsp(), 0x9000u - 20);
}

TEST_F(Event, Virtual8086SavesAndClearsDataSegments) {
  v86_tables(0);
  state.segment[x86::kGs].selector = 0x1111;
  state.segment[x86::kEs].selector = 0x4444;
  idt_gate(0x30, x86::kInterruptGate32, kCode0, kHandler);
  ASSERT_TRUE(deliver_interrupt(*cpu, 0x30));
  EXPECT_FALSE(state.virtual_8086());
  EXPECT_EQ(state.cpl(), 0u);
  EXPECT_EQ(rsp(), kInnerStack - 36);
  EXPECT_EQ(stack<uint32_t>(2) & x86::kFlagVm, x86::kFlagVm);
  EXPECT_EQ(stack<uint32_t>(3), 0x8000u);
  EXPECT_EQ(stack<uint32_t>(5), 0x4444u);
  EXPECT_EQ(stack<uint32_t>(8), 0x1111u);
  EXPECT_FALSE(state.segment[x86::kGs].usable());
  EXPECT_EQ(selector(x86::kEs), 0);
}

TEST_F(Event, LongModeAlignsAndAlwaysSavesTheStack) {
  long_tables();
  state.gpr[x86::kRsp] = kStackTop - 3;
  idt_gate64(x86::kGeneralProtection, x86::kInterruptGate32, kLong0, kHandler);
  ASSERT_TRUE(deliver_fault(*cpu, {.vector = x86::kGeneralProtection, .error = 0x18}));
  EXPECT_EQ(rsp(), kStackTop - 16 - 48);
  EXPECT_EQ(stack<uint64_t>(0), 0x18u);
  EXPECT_EQ(stack<uint64_t>(1), kCode);
  EXPECT_EQ(stack<uint64_t>(2), kLong0);
  EXPECT_EQ(stack<uint64_t>(4), kStackTop - 3);
  EXPECT_EQ(stack<uint64_t>(5), kData0);
  EXPECT_EQ(selector(kSs), kData0);
}

TEST_F(Event, LongModeFromUserLoadsNullSs) {
  long_tables(3);
  idt_gate64(0x30, x86::kInterruptGate32, kLong0, 0xffff800000012340);
  ASSERT_TRUE(deliver_interrupt(*cpu, 0x30));
  EXPECT_EQ(state.rip, 0xffff800000012340u);
  EXPECT_EQ(state.cpl(), 0u);
  EXPECT_EQ(selector(kSs), 0);
  EXPECT_FALSE(state.segment[kSs].usable());
  EXPECT_EQ(rsp(), kInnerStack - 40);
  EXPECT_EQ(stack<uint64_t>(4), kData3);
  EXPECT_EQ(stack<uint64_t>(2), x86::kFlagFixed);  // no RF for an interrupt
}

TEST_F(Event, InterruptStackTable) {
  long_tables();
  idt_gate64(x86::kNmi, x86::kInterruptGate32, kLong0, kHandler, 0, 1);
  state.activity = Activity::kHalted;
  ASSERT_TRUE(deliver_interrupt(*cpu, x86::kNmi));
  EXPECT_EQ(rsp(), kIstStack - 40);
  EXPECT_TRUE(state.nmi_blocked);
  EXPECT_EQ(state.activity, Activity::kRunning);
}

TEST_F(Event, LongModeNeeds64BitHandlers) {
  long_tables();
  idt_gate64(0x30, x86::kInterruptGate32, kCode0, kHandler);
  idt_gate64(x86::kGeneralProtection, x86::kInterruptGate32, kLong0, kHandler);
  ASSERT_TRUE(deliver_interrupt(*cpu, 0x30));
  EXPECT_EQ(stack<uint64_t>(0), kCode0 | x86::kErrorExternal);
}

TEST_F(Event, NonCanonicalStackBecomesADoubleFaultOnItsIst) {
  long_tables();
  state.gpr[x86::kRsp] = 0x8000'0000'0000;
  idt_gate64(x86::kGeneralProtection, x86::kInterruptGate32, kLong0, kHandler);
  idt_gate64(x86::kStackFault, x86::kInterruptGate32, kLong0, kHandler);
  idt_gate64(x86::kDoubleFault, x86::kInterruptGate32, kLong0, kHandler + 8, 0, 1);
  ASSERT_TRUE(deliver_fault(*cpu, {.vector = x86::kGeneralProtection}));
  EXPECT_EQ(state.rip, kHandler + 8);
  EXPECT_EQ(stack<uint64_t>(0), 0u);
  EXPECT_EQ(stack<uint64_t>(1), kCode);
}

TEST_F(Event, MissingGateReportsVectorAndEscalates) {
  protected_tables();
  idt_gate(x86::kGeneralProtection, x86::kInterruptGate32, kCode0, kHandler);
  ASSERT_TRUE(deliver_fault(*cpu, {.vector = x86::kInvalidOpcode}));  // benign: #GP in its place
  EXPECT_EQ(state.rip, kHandler);
  EXPECT_EQ(stack<uint32_t>(0), x86::kInvalidOpcode * 8u | 3);

  protected_tables();
  idt_gate(x86::kDoubleFault, x86::kInterruptGate32, kCode0, kHandler + 8);
  ASSERT_TRUE(deliver_fault(*cpu, {.vector = x86::kDivideError}));
  EXPECT_EQ(state.rip, kHandler + 8);
  EXPECT_EQ(stack<uint32_t>(0), 0u);

  protected_tables();
  put<uint64_t>(kIdt + x86::kDoubleFault * 8, 0);
  EXPECT_FALSE(deliver_fault(*cpu, {.vector = x86::kDivideError}));
  EXPECT_EQ(state.activity, Activity::kShutdown);
}

TEST_F(Event, NotPresentGate) {
  protected_tables();
  put<uint64_t>(kIdt + 0x30 * 8, gate_word(x86::kInterruptGate32, kCode0, kHandler, 3, 0) & ~(1ull << 47));
  EXPECT_EQ(fault_of(software_interrupt(*cpu, 0x30, true)), "11(0x182)");
  EXPECT_EQ(state.rip, kCode);
  EXPECT_EQ(rsp(), kStackTop);
}

TEST_F(Event, BadInnerStacks) {
  protected_tables(3);
  idt_gate(0x30, x86::kInterruptGate32, kCode0, kHandler, 3);
  put<uint32_t>(kTss + 8, 0);
  EXPECT_EQ(fault_of(software_interrupt(*cpu, 0x30, true)), "10(0x0)");
  put<uint32_t>(kTss + 8, kData3);
  EXPECT_EQ(fault_of(software_interrupt(*cpu, 0x30, true)), "10(0x20)");
  put<uint32_t>(kTss + 8, kData16);
  put<uint32_t>(kTss + 4, 2);  // a 16-bit stack on which the frame does not fit
  EXPECT_EQ(fault_of(software_interrupt(*cpu, 0x30, true)), "12(0x60)");
  state.tr.limit = 8;
  EXPECT_EQ(fault_of(software_interrupt(*cpu, 0x30, true)), "10(0x100)");
}

TEST_F(Event, SoftwareInterruptNeedsTheGatesPrivilege) {
  protected_tables(3);
  idt_gate(0x80, x86::kTrapGate32, kCode0, kHandler, 0);
  EXPECT_EQ(fault_of(software_interrupt(*cpu, 0x80, true)), "13(0x402)");
  EXPECT_TRUE(software_interrupt(*cpu, 0x80, false));  // INT1
  protected_tables(3);
  idt_gate(0x80, x86::kTrapGate32, kCode0, kHandler, 3);
  ASSERT_TRUE(software_interrupt(*cpu, 0x80, true));
  EXPECT_EQ(stack<uint32_t>(0), kCode);
  EXPECT_EQ(stack<uint32_t>(2), x86::kFlagFixed);  // no RF
}

TEST_F(Event, V86SoftwareInterruptIsSensitiveToIopl) {
  v86_tables(0);
  idt_gate(0x21, x86::kTrapGate32, kCode0, kHandler, 3);
  idt_gate(3, x86::kTrapGate32, kCode0, kHandler, 3);
  EXPECT_EQ(fault_of(software_interrupt(*cpu, 0x21, true)), "13(0x0)");
  EXPECT_EQ(fault_of(software_interrupt(*cpu, 3, InterruptInstruction::kIntN)), "13(0x0)");
  EXPECT_TRUE(software_interrupt(*cpu, 3, InterruptInstruction::kInt3));
  v86_tables(3);
  EXPECT_TRUE(software_interrupt(*cpu, 0x21, true));
  EXPECT_FALSE(state.virtual_8086());
}

TEST_F(Event, VmeRedirectsToTheProgramsOwnTable) {
  v86_tables(0);
  state.control.cr4 |= x86::kCr4Vme;
  state.rflags |= x86::kFlagVif | kFlagIf;
  put<uint16_t>(kTss + 102, 0x88);  // the bitmap is at 0x68, all zero
  put<uint32_t>(0x21 * 4, 0x12340567);
  ASSERT_TRUE(software_interrupt(*cpu, 0x21, true));
  EXPECT_TRUE(state.virtual_8086());
  EXPECT_EQ(state.segment[kCs].base, 0x12340u);
  EXPECT_EQ(stack<uint16_t>(2), kFlagIf | x86::kFlagIopl | x86::kFlagFixed);
  EXPECT_EQ(state.rflags & x86::kFlagVif, 0u);
  EXPECT_EQ(state.rflags & kFlagIf, kFlagIf);
  put<uint8_t>(kTss + 0x68 + 4, 2);  // 0x21 back to the monitor: IOPL decides
  EXPECT_EQ(fault_of(software_interrupt(*cpu, 0x21, true)), "13(0x0)");
}

TEST_F(Event, DebugExceptionsMergeIntoDr6) {
  protected_tables();
  idt_gate(x86::kDebug, x86::kInterruptGate32, kCode0, kHandler);
  state.dr6 |= 2;
  state.dr7 |= 1u << 13;
  ASSERT_TRUE(deliver_fault(*cpu, {.vector = x86::kDebug, .address = 1u << 14 | 1, .trap = true}));
  EXPECT_EQ(state.dr6, 0xffff4ff1u);
  EXPECT_EQ(state.dr7 & 1u << 13, 0u);
  EXPECT_EQ(stack<uint32_t>(2) & kFlagRf, 0u);
}

TEST_F(Event, DeliveryEndsTheInterruptShadow) {
  protected_tables();
  idt_gate(0x30, x86::kInterruptGate32, kCode0, kHandler);
  state.interrupt_shadow = kHandler;
  state.shadow_blocks_debug = true;
  ASSERT_TRUE(deliver_interrupt(*cpu, 0x30));
  EXPECT_EQ(state.interrupt_shadow, State::kNoShadow);
  EXPECT_FALSE(state.shadow_blocks_debug);
}

}  // namespace
}  // namespace eidolon::cpu
