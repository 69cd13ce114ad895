// A processor whose local APIC is in the kernel, with the monitor's I/O APIC and 8259 pair.
#include "engine/kvm/kernel_apics.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "interrupt/io_apic.h"
#include "interrupt/local_apic.h"
#include "kvm/small_machine.h"

namespace eidolon::engine {
namespace {

using namespace std::chrono_literals;
using interrupt::ApicBus;
using interrupt::IoApic;
using interrupt::LocalApic;
using kvm::Irqchip;
using kvm::VirtualMachine;
using x86::kR10;
using x86::kRbx;

using Code = std::vector<uint8_t>;

Code operator+(Code one, const Code& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

/// RBX has the address of the APIC's page.
const Code kPage = {0xbb, 0x00, 0x00, 0xe0, 0xfe};  // mov ebx, 0xfee00000
Code put(uint16_t offset, uint32_t value) {         // mov dword [rbx + offset], value
  Code code = {0xc7, 0x83, static_cast<uint8_t>(offset), static_cast<uint8_t>(offset >> 8), 0, 0};
  for (unsigned byte = 0; byte < 4; ++byte) code.push_back(static_cast<uint8_t>(value >> byte * 8));
  return code;
}
const Code kEnable = kPage + put(0xf0, 0x1ff);
const Code kCount = {0x49, 0xff, 0xc2}, kReturn = {0x48, 0xcf};  // inc r10; iretq
const Code kEoi = put(0xb0, 0);
const Code kHalt = {0xfb, 0xf4, 0xfa};                                  // sti; hlt; cli
const Code kUntilCounted = {0xfb, 0x4d, 0x85, 0xd2, 0x74, 0xfb, 0xfa};  // sti; until r10 is not 0; cli

class KernelApicsTest : public KvmTest {
 protected:
  void SetUp() override {
    KvmTest::SetUp();
    if (IsSkipped()) return;
    machine_ = std::make_unique<SmallMachine>(&apic_);
    auto vm = VirtualMachine::create(machine_->memory(), Irqchip::kSplit);
    if (!vm) GTEST_SKIP() << vm.error().message;
    vm_ = std::move(*vm);
    ASSERT_TRUE(machine_->mmio().attach(LocalApic::kAddress, LocalApic::kLength, apic_, "lapic"));
    engine_ = *KvmEngine::create(machine_->cpu(), vm_);
    bus_.connect(apic_);
    bus_.connect(io_apic_);
    apic_.attach(machine_->cpu().events, {.hz = uint64_t{machine_->cpu().model.tsc_khz()} * 1000});
    pic_.set_output([this](bool level) { apic_.set_lint(0, level); });
    machine_->enter_long_mode();
    machine_->state().gpr[kR10] = 0;
    machine_->handle(0x41, kCount + kEoi + kReturn, 0x140000);
    timers_.start();
  }
  void TearDown() override {
    bus_.take_back();
    timers_.stop();
  }

  /// On KVM with the APIC in the kernel, and all is here again.
  void run(const Code& code) {
    machine_->load(code);
    go_on();
  }
  void go_on() {
    ASSERT_TRUE(bus_.lend(*vm_->apics()));
    EXPECT_EQ(engine_->run(), Stop::kRequested);
    bus_.take_back();
  }
  uint64_t counted() { return machine_->state().gpr[kR10]; }
  void route(uint8_t pin, uint32_t low) {
    io_apic_.io_write(0x00, 4, 0x10u + 2 * pin);
    io_apic_.io_write(0x10, 4, low);
  }
  uint32_t pin_entry(uint8_t pin) {
    io_apic_.io_write(0x00, 4, 0x10u + 2 * pin);
    return static_cast<uint32_t>(io_apic_.io_read(0x10, 4));
  }
  void start_pic() {
    for (const auto& [port, value] :
         std::vector<std::pair<unsigned, unsigned>>{{0, 0x11}, {1, 0x40}, {1, 4}, {1, 1}, {1, 0}})
      pic_.master_ports().io_write(port, 1, value);
  }

  HostClock clock_;
  TimerQueue timers_{clock_};
  ApicBus bus_;
  interrupt::Pic pic_;
  LocalApic apic_{bus_, timers_, 0, true, &pic_};
  IoApic io_apic_{bus_};
  std::unique_ptr<SmallMachine> machine_;
  std::shared_ptr<VirtualMachine> vm_;
  std::unique_ptr<KvmEngine> engine_;
};

TEST_F(KernelApicsTest, AMessageToItselfArrives) {
  run(kEnable + put(0x300, 0x40041) + kUntilCounted);
  EXPECT_EQ(counted(), 1u);
  EXPECT_EQ(apic_.io_read(0xf0, 4), 0x1ffu) << "what the guest wrote there came back";
  EXPECT_EQ(apic_.io_read(0x120, 4), 0u) << "nothing is in service";
}

TEST_F(KernelApicsTest, ADevicesMessageEndsAHalt) {
  std::thread device([this] {
    std::this_thread::sleep_for(30ms);
    // The guest may not have switched it on yet.
    while (!bus_.deliver({.destination = 0, .vector = 0x41})) std::this_thread::sleep_for(1ms);
  });
  run(kEnable + kHalt);
  device.join();
  EXPECT_EQ(counted(), 1u);
}

TEST_F(KernelApicsTest, ItsTimerEndsAHalt) {
  run(kEnable + put(0x3e0, 0xb) + put(0x320, 0x41) + put(0x380, 1'000'000) + kHalt);
  EXPECT_EQ(counted(), 1u);
}

TEST_F(KernelApicsTest, ATimerThatWasStartedHereRunsOutThere) {
  apic_.io_write(0xf0, 4, 0x1ff);
  apic_.io_write(0x3e0, 4, 0xb);
  apic_.io_write(0x320, 4, 0x41);
  apic_.io_write(0x380, 4, 50'000'000);
  run(kPage + kHalt);
  EXPECT_EQ(counted(), 1u);
}

TEST_F(KernelApicsTest, ATimerThatWasStartedThereRunsOutHere) {
  run(kEnable + put(0x3e0, 0xb) + put(0x320, 0x41) + put(0x380, 2'000'000'000));
  EXPECT_NE(apic_.io_read(0x390, 4), 0u);
  EXPECT_LT(apic_.io_read(0x390, 4), 2'000'000'000u);
  machine_->load(kHalt);
  EXPECT_EQ(machine_->step_engine()->run(), Stop::kRequested);
  EXPECT_EQ(counted(), 1u);
}

TEST_F(KernelApicsTest, WhatIsPendingMovesToAnotherEngine) {
  run(kEnable + put(0x300, 0x40041));
  EXPECT_EQ(counted(), 0u);
  EXPECT_EQ(apic_.io_read(0x220, 4), 2u) << "IRR";
  machine_->load(kUntilCounted);
  EXPECT_EQ(machine_->step_engine()->run(), Stop::kRequested);
  EXPECT_EQ(counted(), 1u);
}

TEST_F(KernelApicsTest, WhatIsPendingComesFromAnotherEngine) {
  apic_.io_write(0xf0, 4, 0x1ff);
  bus_.deliver({.destination = 0, .vector = 0x41});
  run(kPage + kUntilCounted);
  EXPECT_EQ(counted(), 1u);
}

TEST_F(KernelApicsTest, ThePriorityHoldsInterruptsBack) {
  // TPR 0x50; a message; sti, nop, cli; mov rsi, r10; TPR 0; until counted
  run(kEnable + put(0x80, 0x50) + put(0x300, 0x40041) + Code{0xfb, 0x90, 0xfa, 0x4c, 0x89, 0xd6} +
      put(0x80, 0) + kUntilCounted);
  EXPECT_EQ(machine_->state().gpr[x86::kRsi], 0u);
  EXPECT_EQ(counted(), 1u);
}

TEST_F(KernelApicsTest, TheEoiOfALevelComesToTheIoApic) {
  constexpr uint32_t kRemoteIrr = 1u << 14;
  route(9, 0x8000 | 0x41);
  apic_.io_write(0xf0, 4, 0x1ff);
  io_apic_.set_pin(9, true);
  run(kPage + Code{0xfb, 0x49, 0x83, 0xfa, 0x03, 0x72, 0xfa, 0xfa});  // sti; until r10 is 3; cli
  EXPECT_GE(counted(), 3u) << "asserted, it comes again after each EOI";
  EXPECT_NE(pin_entry(9) & kRemoteIrr, 0u);
  io_apic_.set_pin(9, false);
  machine_->state().gpr[kR10] = 0;
  run(kPage + kUntilCounted);
  EXPECT_EQ(counted(), 1u) << "the one that was under way";
  EXPECT_EQ(pin_entry(9) & kRemoteIrr, 0u);
}

TEST_F(KernelApicsTest, The8259PairsInterruptEndsAHalt) {
  start_pic();
  machine_->handle(0x43, kCount + kReturn, 0x150000);
  std::thread device([this] {
    std::this_thread::sleep_for(30ms);
    pic_.set_irq(3, true);
  });
  run(kPage + kHalt);
  device.join();
  EXPECT_EQ(counted(), 1u);
}

TEST_F(KernelApicsTest, The8259PairWaitsUntilTheGuestTakesIt) {
  start_pic();
  machine_->handle(0x43, kCount + kReturn, 0x150000);
  pic_.set_irq(3, true);
  run({0xb9, 0x00, 0x04, 0x00, 0x00, 0xff, 0xc9, 0x75, 0xfc,  // a loop with interrupts shut out
       0x4c, 0x89, 0xd6,                                      // mov rsi, r10
       0xfb, 0x4d, 0x85, 0xd2, 0x74, 0xfb, 0xfa});
  EXPECT_EQ(machine_->state().gpr[x86::kRsi], 0u);
  EXPECT_EQ(counted(), 1u);
}

TEST_F(KernelApicsTest, AnX2ApicIsOneEverywhere) {
  // ecx = 0x1b; rdmsr; bts eax, 10; wrmsr; SVR by MSR; self-IPI by MSR 0x83f
  machine_->handle(0x41,
                   kCount + Code{0xb9, 0x0b, 0x08, 0x00, 0x00, 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x30} + kReturn,
                   0x140000);
  run({0xb9, 0x1b, 0x00, 0x00, 0x00, 0x0f, 0x32, 0x0f, 0xba, 0xe8, 0x0a, 0x0f, 0x30, 0xb9, 0x0f, 0x08,
       0x00, 0x00, 0xb8, 0xff, 0x01, 0x00, 0x00, 0x31, 0xd2, 0x0f, 0x30, 0xb9, 0x3f, 0x08, 0x00, 0x00,
       0xb8, 0x41, 0x00, 0x00, 0x00, 0x0f, 0x30, 0xfb, 0x4d, 0x85, 0xd2, 0x74, 0xfb, 0xfa});
  EXPECT_EQ(counted(), 1u);
  EXPECT_EQ(apic_.read_msr(x86::kMsrApicBase), 0xfee00d00u);
  EXPECT_EQ(apic_.read_msr(0x80f), 0x1ffu);
}

TEST_F(KernelApicsTest, AHaltedProcessorStopsAndGoesOnHalted) {
  apic_.io_write(0xf0, 4, 0x1ff);
  std::thread asker([this] {
    std::this_thread::sleep_for(30ms);
    machine_->cpu().events.raise(cpu::kEventStop);
  });
  run(kPage + kHalt);
  asker.join();
  EXPECT_EQ(machine_->state().activity, cpu::Activity::kHalted);
  EXPECT_EQ(counted(), 0u);
  bus_.deliver({.destination = 0, .vector = 0x41});
  go_on();
  EXPECT_EQ(counted(), 1u);
}

}  // namespace
}  // namespace eidolon::engine
