#include "cpu/task.h"

#include "cpu/event.h"
#include "cpu/transfer.h"
#include "cpu/transfer_tables.h"

namespace eidolon::cpu {

namespace {

using x86::kCs;
using x86::kSs;

class Task : public TablesTest {
 protected:
  static constexpr uint16_t kOldTss = 0x100, kNewTss = 0x108, kLdtSelector = 0x110, kGate = 0x118;
  static constexpr uint64_t kNew = 0x62000, kNext = kCode + 7, kNewStack = 0x32000;

  void tasks(unsigned cpl = 0) {
    protected_tables(cpl);
    descriptor(kOldTss, x86::kAttrPresent | x86::kTss32Busy, kTss, 0x67);
    descriptor(kNewTss, x86::kAttrPresent | x86::kTss32Available, kNew, 0x67);
    put<uint64_t>(kGdt + kGate, gate_word(x86::kTaskGate, kNewTss, 0, 3, 0));
    put<uint32_t>(kNew + 32, kHandler);
    put<uint32_t>(kNew + 36, x86::kFlagCf);
    for (unsigned i = 0; i < 8; ++i) put<uint32_t>(kNew + 40 + 4 * i, 0x1000 + i);
    put<uint32_t>(kNew + 40 + 4 * x86::kRsp, kNewStack);
    for (unsigned i = 0; i < 6; ++i) put<uint32_t>(kNew + 72 + 4 * i, kData0);
    put<uint32_t>(kNew + 76, kCode0);
  }
  [[nodiscard]] unsigned type_of(uint16_t selector) { return get<uint8_t>(kGdt + selector + 5) & 0xf; }
};

TEST_F(Task, JumpSavesAndLoadsEverything) {
  tasks();
  state.gpr[x86::kRdi] = 0x12345678;
  ASSERT_TRUE(far_jump(*cpu, kNewTss, 0, 4, kNext));
  EXPECT_EQ(get<uint32_t>(kTss + 32), kNext);
  EXPECT_EQ(get<uint32_t>(kTss + 40 + 28), 0x12345678u);
  EXPECT_EQ(get<uint32_t>(kTss + 76), kCode0);
  EXPECT_EQ(type_of(kOldTss), x86::kTss32Available);
  EXPECT_EQ(type_of(kNewTss), x86::kTss32Busy);
  EXPECT_EQ(state.rip, kHandler);
  EXPECT_EQ(state.gpr[x86::kRcx], 0x1001u);
  EXPECT_EQ(rsp(), kNewStack);
  EXPECT_EQ(state.rflags, x86::kFlagFixed | x86::kFlagCf);
  EXPECT_EQ(state.tr.selector, kNewTss);
  EXPECT_EQ(state.tr.base, kNew);
  EXPECT_NE(state.control.cr0 & x86::kCr0Ts, 0u);
}

TEST_F(Task, CallNestsAndIretReturns) {
  tasks();
  ASSERT_TRUE(far_call(*cpu, kGate, 0, 4, kNext));
  EXPECT_EQ(state.rip, kHandler);
  EXPECT_EQ(state.rflags & x86::kFlagNt, x86::kFlagNt);
  EXPECT_EQ(get<uint16_t>(kNew), kOldTss);
  EXPECT_EQ(type_of(kOldTss), x86::kTss32Busy);
  ASSERT_TRUE(interrupt_return(*cpu, 4, kHandler + 1));
  EXPECT_EQ(state.rip, kNext);
  EXPECT_EQ(rsp(), kStackTop);
  EXPECT_EQ(state.tr.selector, kOldTss);
  EXPECT_EQ(type_of(kNewTss), x86::kTss32Available);
  EXPECT_EQ(get<uint32_t>(kNew + 32), kHandler + 1);
  EXPECT_EQ(get<uint32_t>(kNew + 36) & x86::kFlagNt, 0u);
}

TEST_F(Task, GateInTheIdtPushesTheErrorCodeOnTheNewStack) {
  tasks();
  idt_gate(x86::kDoubleFault, x86::kTaskGate, kNewTss, 0);
  state.gpr[x86::kRsp] = kStackTop;
  ASSERT_TRUE(deliver_fault(*cpu, {.vector = x86::kDivideError}));  // no gate for 0 and 13
  EXPECT_EQ(state.rip, kHandler);
  EXPECT_EQ(rsp(), kNewStack - 4);
  EXPECT_EQ(stack<uint32_t>(0), 0u);
  EXPECT_EQ(get<uint32_t>(kTss + 32), kCode);
}

TEST_F(Task, SavedFlagsOfAFaultHaveRf) {
  tasks();
  idt_gate(x86::kInvalidOpcode, x86::kTaskGate, kNewTss, 0);
  ASSERT_TRUE(deliver_fault(*cpu, {.vector = x86::kInvalidOpcode}));
  EXPECT_EQ(get<uint32_t>(kTss + 36) & x86::kFlagRf, x86::kFlagRf);
}

TEST_F(Task, RefusedTargetsLeaveEverythingAsItWas) {
  tasks();
  EXPECT_EQ(fault_of(far_jump(*cpu, kOldTss, 0, 4, kNext)), "13(0x100)");  // busy
  descriptor(kNewTss, x86::kAttrPresent | x86::kTss32Available, kNew, 0x66);
  EXPECT_EQ(fault_of(far_jump(*cpu, kNewTss, 0, 4, kNext)), "10(0x108)");
  descriptor(kNewTss, x86::kTss32Available, kNew, 0x67);
  EXPECT_EQ(fault_of(far_jump(*cpu, kNewTss, 0, 4, kNext)), "11(0x108)");
  EXPECT_EQ(state.rip, kCode);
  EXPECT_EQ(state.tr.selector, kOldTss);
  tasks(3);
  EXPECT_EQ(fault_of(far_jump(*cpu, kNewTss, 0, 4, kNext)), "13(0x108)");  // DPL
  EXPECT_TRUE(far_jump(*cpu, kGate | 3, 0, 4, kNext));
  EXPECT_EQ(state.cpl(), 0u);
}

TEST_F(Task, FaultsInTheNewTaskBelongToIt) {
  tasks();
  put<uint32_t>(kNew + 80, kData3);  // SS
  const auto done = far_jump(*cpu, kNewTss, 0, 4, kNext);
  EXPECT_EQ(fault_of(done), "10(0x20)");
  ASSERT_FALSE(done);
  EXPECT_TRUE(done.error().trap);
  EXPECT_EQ(state.rip, kHandler);
  EXPECT_EQ(state.tr.selector, kNewTss);
  EXPECT_FALSE(state.segment[x86::kDs].usable());

  tasks();
  put<uint32_t>(kNew + 84, kNotPresent);  // DS
  EXPECT_EQ(fault_of(far_jump(*cpu, kNewTss, 0, 4, kNext)), "11(0x30)");
  tasks();
  put<uint32_t>(kNew + 76, kSmallCode);
  EXPECT_EQ(fault_of(far_jump(*cpu, kNewTss, 0, 4, kNext)), "13(0x0)");  // EIP
  tasks();
  put<uint32_t>(kNew + 96, kData0);
  EXPECT_EQ(fault_of(far_jump(*cpu, kNewTss, 0, 4, kNext)), "10(0x10)");  // LDT
}

TEST_F(Task, LdtOfTheNewTask) {
  tasks();
  descriptor(kLdtSelector, x86::kAttrPresent | x86::kLdt, kData, 0xf);
  put<uint64_t>(kData + 8, get<uint64_t>(kGdt + kData0));
  put<uint32_t>(kNew + 96, kLdtSelector);
  put<uint32_t>(kNew + 84, 0xc);
  ASSERT_TRUE(far_jump(*cpu, kNewTss, 0, 4, kNext));
  EXPECT_EQ(state.ldtr.base, kData);
  EXPECT_TRUE(state.segment[x86::kDs].usable());
}

TEST_F(Task, IntoVirtual8086) {
  tasks();
  put<uint32_t>(kNew + 32, 0x56);
  put<uint32_t>(kNew + 36, x86::kFlagVm);
  put<uint32_t>(kNew + 76, 0x1234);
  ASSERT_TRUE(far_jump(*cpu, kNewTss, 0, 4, kNext));
  EXPECT_TRUE(state.virtual_8086());
  EXPECT_EQ(state.cpl(), 3u);
  EXPECT_EQ(state.segment[kCs].base, 0x12340u);
}

TEST_F(Task, DebugTrapBit) {
  tasks();
  state.dr7 |= 3;
  put<uint16_t>(kNew + 100, 1);
  ASSERT_TRUE(far_jump(*cpu, kNewTss, 0, 4, kNext));
  EXPECT_EQ(state.pending_debug, 1u << 15);
  EXPECT_EQ(state.dr7 & 3, 2u);
}

TEST_F(Task, DebugTrapOfAnInterruptTaskComesBeforeItsFirstInstruction) {
  tasks();
  put<uint16_t>(kNew + 100, 1);
  idt_gate(0x30, x86::kTaskGate, kNewTss, 0);
  idt_gate(x86::kDebug, x86::kInterruptGate32, kCode0, kHandler + 0x100);
  ASSERT_TRUE(deliver_interrupt(*cpu, 0x30));
  EXPECT_EQ(state.rip, kHandler + 0x100);
  EXPECT_EQ(rsp(), kNewStack - 12);
  EXPECT_EQ(stack<uint32_t>(0), kHandler);
  EXPECT_EQ(state.dr6 & 0xf00f, 0x8000u);
  EXPECT_EQ(state.pending_debug, 0u);
}

TEST_F(Task, SixteenBitTss) {
  tasks();
  descriptor(kNewTss, x86::kAttrPresent | x86::kTss16Available, kNew, 0x2b);
  put<uint16_t>(kNew + 14, 0x1234);
  put<uint16_t>(kNew + 16, x86::kFlagCf);
  put<uint16_t>(kNew + 18, 0xaaaa);
  put<uint16_t>(kNew + 26, 0x9000);
  for (unsigned i = 0; i < 4; ++i) put<uint16_t>(kNew + 34 + 2 * i, kData0);
  put<uint16_t>(kNew + 36, kCode16);
  put<uint16_t>(kNew + 42, 0);
  ASSERT_TRUE(far_call(*cpu, kNewTss, 0, 4, kNext));
  EXPECT_EQ(state.rip, 0x1234u);
  EXPECT_EQ(state.gpr[x86::kRax] & 0xffff, 0xaaaau);
  EXPECT_EQ(rsp() & 0xffff, 0x9000u);
  EXPECT_FALSE(state.segment[x86::kFs].usable());
  EXPECT_EQ(type_of(kNewTss), x86::kTss16Busy);
  state.gpr[x86::kRax] = 0xbbbb;
  ASSERT_TRUE(interrupt_return(*cpu, 2, 0x1235));
  EXPECT_EQ(get<uint16_t>(kNew + 14), 0x1235);
  EXPECT_EQ(get<uint16_t>(kNew + 18), 0xbbbb);
  EXPECT_EQ(get<uint16_t>(kNew + 36), kCode16);
  EXPECT_EQ(get<uint16_t>(kNew + 42), 0);
  EXPECT_EQ(state.rip, kNext);
}

TEST_F(Task, PagedOutTssFaultsBeforeTheSwitch) {
  tasks();
  constexpr uint64_t kDirectory = 0x78000, kTable = 0x79000;
  for (uint64_t page = 0; page < 0x400; ++page)
    put<uint32_t>(kTable + 4 * page, static_cast<uint32_t>(page << 12 | 7));
  put<uint32_t>(kDirectory, kTable | 7);
  put<uint32_t>(kTable + 4 * (kTss >> 12), kTss | 5);  // the old TSS is read-only
  state.control.cr3 = kDirectory;
  state.control.cr0 |= x86::kCr0Pg | x86::kCr0Wp;
  put<uint32_t>(kNew + 28, kDirectory);
  cpu->mmu.invalidate_all();
  const auto done = far_jump(*cpu, kNewTss, 0, 4, kNext);
  EXPECT_EQ(fault_of(done), "14(0x3)");
  ASSERT_FALSE(done);
  EXPECT_FALSE(done.error().trap);
  EXPECT_EQ(state.rip, kCode);
  EXPECT_EQ(type_of(kNewTss), x86::kTss32Available);
}

TEST_F(Task, ReturnNeedsABusyTss) {
  tasks();
  state.rflags |= x86::kFlagNt;
  put<uint16_t>(kTss, kNewTss);
  EXPECT_EQ(fault_of(interrupt_return(*cpu, 4, kNext)), "10(0x108)");
  put<uint16_t>(kTss, 0);
  EXPECT_EQ(fault_of(interrupt_return(*cpu, 4, kNext)), "10(0x0)");
}

}  // namespace
}  // namespace eidolon::cpu
