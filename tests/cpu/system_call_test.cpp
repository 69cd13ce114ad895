#include "cpu/system_call.h"

#include "cpu/transfer_tables.h"

namespace eidolon::cpu {

namespace {

using x86::kCs;
using x86::kSs;

class SystemCall : public TablesTest {
 protected:
  void prepare(unsigned cpl) {
    long_tables(cpl);
    state.star = 0x0023'0010'0000'0000;
    state.lstar = 0xffff800000012340;
    state.cstar = 0xffff800000054320;
    state.fmask = x86::kFlagIf | x86::kFlagTf;
    state.sysenter_cs = 0x10;
    state.sysenter_esp = 0xffff800000030000;
    state.sysenter_eip = 0xffff800000056780;
  }
  static constexpr uint64_t kNext = kCode + 2;
};

TEST_F(SystemCall, SyscallFrom64BitMode) {
  prepare(3);
  state.rflags |= x86::kFlagIf | x86::kFlagCf | x86::kFlagRf;
  ASSERT_TRUE(syscall(*cpu, kNext));
  EXPECT_EQ(state.rip, state.lstar);
  EXPECT_EQ(state.gpr[x86::kRcx], kNext);
  EXPECT_EQ(state.gpr[x86::kR11], x86::kFlagFixed | x86::kFlagIf | x86::kFlagCf);
  EXPECT_EQ(state.rflags, x86::kFlagFixed | x86::kFlagCf);
  EXPECT_EQ(selector(kCs), 0x10);
  EXPECT_EQ(selector(kSs), 0x18);
  EXPECT_EQ(state.cpl(), 0u);
  EXPECT_TRUE(state.long_code());
  EXPECT_EQ(rsp(), kStackTop);
}

TEST_F(SystemCall, SysretTo64BitAndCompatibilityMode) {
  prepare(0);
  state.gpr[x86::kRcx] = 0x7fff'ffff'fff0;
  state.gpr[x86::kR11] = ~uint64_t{0};
  ASSERT_TRUE(sysret(*cpu, 8));
  EXPECT_EQ(state.rip, 0x7fff'ffff'fff0u);
  EXPECT_EQ(selector(kCs), 0x33);
  EXPECT_EQ(selector(kSs), 0x2b);
  EXPECT_EQ(state.cpl(), 3u);
  EXPECT_EQ(state.rflags, 0x3c7fd7u);
  prepare(0);
  state.gpr[x86::kRcx] = 0x1'0000'1000;
  ASSERT_TRUE(sysret(*cpu, 4));
  EXPECT_EQ(state.rip, 0x1000u);
  EXPECT_EQ(selector(kCs), 0x23);
  EXPECT_EQ(code_size(state), isa::CodeSize::k32);
}

TEST_F(SystemCall, SysretFaultsBeforeItLeaves) {
  prepare(0);
  state.gpr[x86::kRcx] = 0x8000'0000'0000;
  EXPECT_EQ(fault_of(sysret(*cpu, 8)), "13(0x0)");
  EXPECT_EQ(state.cpl(), 0u);
  prepare(3);
  EXPECT_EQ(fault_of(sysret(*cpu, 8)), "13(0x0)");
  state.control.efer &= ~x86::kEferSce;
  EXPECT_EQ(fault_of(sysret(*cpu, 8)), "6(0x0)");
  EXPECT_EQ(fault_of(syscall(*cpu, kNext)), "6(0x0)");
}

TEST_F(SystemCall, SysenterAndSysexitInProtectedMode) {
  protected_tables(3);
  state.rflags |= x86::kFlagIf;
  EXPECT_EQ(fault_of(sysenter(*cpu)), "13(0x0)");  // SYSENTER_CS is null
  state.sysenter_cs = 0x10;
  state.sysenter_esp = 0x30000;
  state.sysenter_eip = kHandler;
  ASSERT_TRUE(sysenter(*cpu));
  EXPECT_EQ(state.rip, kHandler);
  EXPECT_EQ(rsp(), 0x30000u);
  EXPECT_EQ(selector(kSs), 0x18);
  EXPECT_EQ(state.rflags, x86::kFlagFixed);
  EXPECT_EQ(code_size(state), isa::CodeSize::k32);
  state.gpr[x86::kRcx] = kStackTop;
  state.gpr[x86::kRdx] = kCode;
  ASSERT_TRUE(sysexit(*cpu, 4));
  EXPECT_EQ(selector(kCs), 0x23);
  EXPECT_EQ(selector(kSs), 0x2b);
  EXPECT_EQ(state.rip, kCode);
  EXPECT_EQ(rsp(), kStackTop);
  EXPECT_EQ(fault_of(sysexit(*cpu, 4)), "13(0x0)");  // CPL 3
}

TEST_F(SystemCall, SysenterNeedsProtectedMode) {
  real_mode();
  state.sysenter_cs = 0x10;
  EXPECT_EQ(fault_of(sysenter(*cpu)), "13(0x0)");
}

/// A model without leaves is no AMD processor: SYSENTER in IA-32e mode, no SYSCALL outside 64-bit mode.
class SystemCallOfIntel : public SystemCall {
 protected:
  SystemCallOfIntel() { cpu_ = std::make_unique<Cpu>(Surroundings{*memory, ports, mmio, model_}); }
  CpuidModel model_;
  std::unique_ptr<Cpu> cpu_;
};

TEST_F(SystemCallOfIntel, LongModeSysenterAndSysexit) {
  prepare(3);
  cpu_->state = state;
  State& intel = cpu_->state;
  ASSERT_TRUE(sysenter(*cpu_));
  EXPECT_EQ(intel.rip, 0xffff800000056780u);
  EXPECT_EQ(intel.gpr[x86::kRsp], 0xffff800000030000u);
  EXPECT_TRUE(intel.long_code());
  intel.gpr[x86::kRdx] = 0x8000'0000'0000;
  EXPECT_EQ(fault_of(sysexit(*cpu_, 8)), "13(0x0)");
  intel.gpr[x86::kRdx] = 0x7fff'0000'0000;
  intel.gpr[x86::kRcx] = 0x7ffe'0000'0000;
  ASSERT_TRUE(sysexit(*cpu_, 8));
  EXPECT_EQ(intel.segment[kCs].selector, 0x33);
  EXPECT_EQ(intel.segment[kSs].selector, 0x3b);
  EXPECT_EQ(intel.rip, 0x7fff'0000'0000u);
}

TEST_F(SystemCallOfIntel, NoSyscallInCompatibilityMode) {
  prepare(3);
  cpu_->state = state;
  cpu_->state.segment[kCs].attributes &= ~x86::kAttrLong;
  EXPECT_EQ(fault_of(syscall(*cpu_, kNext)), "6(0x0)");
}

TEST_F(SystemCall, Swapgs) {
  prepare(0);
  state.segment[x86::kGs].base = 1;
  state.kernel_gs_base = 2;
  ASSERT_TRUE(swapgs(*cpu));
  EXPECT_EQ(state.segment[x86::kGs].base, 2u);
  EXPECT_EQ(state.kernel_gs_base, 1u);
  prepare(3);
  EXPECT_EQ(fault_of(swapgs(*cpu)), "13(0x0)");
  protected_tables();
  EXPECT_EQ(fault_of(swapgs(*cpu)), "6(0x0)");
}

}  // namespace
}  // namespace eidolon::cpu
