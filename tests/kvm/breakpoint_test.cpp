// A debugger's breakpoints in the host processor's debug registers.
#include <gtest/gtest.h>

#include "cpu/debug.h"
#include "kvm/small_machine.h"

namespace eidolon::engine {
namespace {

/// mov ecx, 3; xor eax, eax; 1: inc eax; dec ecx; jnz 1b
const std::vector<uint8_t> kLoop = {0xb9, 3, 0, 0, 0, 0x31, 0xc0, 0xff, 0xc0, 0xff, 0xc9, 0x75, 0xfa};
constexpr uint64_t kInc = SmallMachine::kCode + 7, kDec = SmallMachine::kCode + 9;

class KvmBreakpoint : public KvmTest {
 protected:
  void SetUp() override {
    KvmTest::SetUp();
    if (IsSkipped()) return;
    machine_ = std::make_unique<SmallMachine>();
    machine_->enter_long_mode();
    engine_ = machine_->kvm_engine();
    if (engine_->most_breakpoints() == 0) GTEST_SKIP() << "this host's KVM has no breakpoints for debuggers";
  }
  void add(uint64_t linear) {
    breakpoints_.add(linear);
    machine_->cpu().breakpoints = &breakpoints_;
  }
  void remove_all() {
    while (!breakpoints_.addresses().empty()) breakpoints_.remove(breakpoints_.addresses().front());
    machine_->cpu().breakpoints = nullptr;
  }
  uint64_t& gpr(x86::Gpr number) { return machine_->state().gpr[number]; }

  std::unique_ptr<SmallMachine> machine_;
  std::unique_ptr<Engine> engine_;
  cpu::Breakpoints breakpoints_;
};

TEST_F(KvmBreakpoint, StopsBeforeTheInstruction) {
  machine_->load(kLoop);
  add(kDec);
  EXPECT_EQ(engine_->run(), Stop::kBreakpoint);
  EXPECT_EQ(machine_->state().rip, kDec);
  EXPECT_EQ(gpr(x86::kRax), 1u);
  EXPECT_EQ(gpr(x86::kRcx), 3u);
  EXPECT_EQ(machine_->state().dr6, 0xffff0ff0u);
  EXPECT_EQ(machine_->state().dr7, 0x400u) << "the guest sees nothing of it";
}

TEST_F(KvmBreakpoint, FollowsChanges) {
  machine_->load(kLoop);
  add(kDec);
  EXPECT_EQ(engine_->run(), Stop::kBreakpoint);
  remove_all();
  add(kInc);
  EXPECT_EQ(engine_->run(), Stop::kBreakpoint);
  EXPECT_EQ(machine_->state().rip, kInc);
  EXPECT_EQ(gpr(x86::kRcx), 2u);
  remove_all();
  EXPECT_EQ(engine_->run(), Stop::kRequested);
  EXPECT_EQ(gpr(x86::kRax), 3u);
}

TEST_F(KvmBreakpoint, MoreThanKvmHasAreStepped) {
  machine_->load(kLoop);
  for (uint64_t i = 0; i < 5; ++i) add(SmallMachine::kCode + 0x1000 + i);
  add(kDec);
  EXPECT_EQ(engine_->run(), Stop::kBreakpoint);
  EXPECT_EQ(machine_->state().rip, kDec);
}

/// The guest's own are in KVM's way, so it is stepped.
TEST_F(KvmBreakpoint, LeavesTheGuestItsOwn) {
  machine_->load(kLoop);
  machine_->handle(x86::kDebug, {0xe6, SmallMachine::kStop, 0xeb, 0xfe}, 0x108000);
  add(SmallMachine::kCode + 0x1000);
  machine_->state().dr[0] = kDec;
  machine_->state().dr7 = 0x402;
  EXPECT_EQ(engine_->run(), Stop::kRequested);
  EXPECT_EQ(machine_->state().rip & ~uint64_t{15}, 0x108000u);
  EXPECT_EQ(machine_->state().dr6 & cpu::kDr6BreakpointMask, 1u);
}

}  // namespace
}  // namespace eidolon::engine
