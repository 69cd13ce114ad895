#include "engine/kvm/kvm_engine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "kvm/small_machine.h"

namespace eidolon::engine {
namespace {

using namespace std::chrono_literals;
using x86::kR10;
using x86::kRax;
using x86::kRbx;
using x86::kRcx;
using x86::kRdx;

/// Arithmetic, a push, SSE2 and a loop; what they leave is all over the state.
const std::vector<uint8_t> kMixed = {
    0x48, 0xc7, 0xc0, 0x39, 0x30, 0x00, 0x00,                    // mov rax, 12345
    0x49, 0xba, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01,  // mov r10, 0x123456789abcdef
    0x66, 0x49, 0x0f, 0x6e, 0xca,                                // movq xmm1, r10
    0x66, 0x0f, 0xd4, 0xc9,                                      // paddq xmm1, xmm1
    0xb9, 0x64, 0x00, 0x00, 0x00,                                // mov ecx, 100
    0x48, 0x01, 0xc8,                                            // add rax, rcx
    0xff, 0xc9,                                                  // dec ecx
    0x75, 0xf9,                                                  // jnz to the add
    0x50,                                                        // push rax
    0x9c,                                                        // pushfq
    0xf9,                                                        // stc
    0xd9, 0xe8,                                                  // fld1
};

TEST_F(KvmTest, LeavesTheStateThatStepLeaves) {
  SmallMachine on_kvm, on_step;
  for (SmallMachine* machine : {&on_kvm, &on_step}) {
    machine->enter_long_mode();
    machine->load(kMixed);
  }
  EXPECT_EQ(on_kvm.kvm_engine()->run(), Stop::kRequested);
  EXPECT_EQ(on_step.step_engine()->run(), Stop::kRequested);
  const cpu::State &kvm = on_kvm.state(), &step = on_step.state();
  EXPECT_EQ(kvm.gpr, step.gpr);
  EXPECT_EQ(kvm.rip, step.rip);
  EXPECT_EQ(kvm.rflags, step.rflags);
  EXPECT_EQ(kvm.control.cr0, step.control.cr0);
  EXPECT_EQ(kvm.control.efer, step.control.efer);
  EXPECT_EQ(kvm.segment[x86::kCs].attributes, step.segment[x86::kCs].attributes);
  constexpr unsigned kXmm1 = 176, kSt0 = 32;
  EXPECT_EQ(std::memcmp(&kvm.fpu.bytes[kXmm1], &step.fpu.bytes[kXmm1], 16), 0);
  EXPECT_EQ(std::memcmp(&kvm.fpu.bytes[kSt0], &step.fpu.bytes[kSt0], 10), 0);
  EXPECT_EQ(on_kvm.read<uint64_t>(SmallMachine::kStack - 8), 12345u + 5050);
}

TEST_F(KvmTest, RunsRealMode) {
  SmallMachine machine;
  machine.state().reset();
  machine.state().segment[x86::kCs].selector = 0;
  machine.state().segment[x86::kCs].base = 0;
  machine.load({0xb8, 0x34, 0x12, 0xa3, 0x00, 0x50}, 0x1000);  // mov ax, 0x1234; mov [0x5000], ax
  EXPECT_EQ(machine.kvm_engine()->run(), Stop::kRequested);
  EXPECT_EQ(machine.read<uint16_t>(0x5000), 0x1234);
  EXPECT_EQ(machine.state().rip, 0x1008u);
}

TEST_F(KvmTest, AsksDevicesForPortsAndMemory) {
  SmallMachine machine;
  machine.enter_long_mode();
  machine.device().value = 0x11223344;
  machine.load({0xbb, 0x00, 0x00, 0x00, 0xfd,        // mov ebx, 0xfd000000
                0x8b, 0x43, 0x04,                    // mov eax, [rbx + 4]
                0xc7, 0x03, 0x78, 0x56, 0x34, 0x12,  // mov dword [rbx], 0x12345678
                0x89, 0xc1,                          // mov ecx, eax
                0xe4, 0xf4});                        // in al, 0xf4
  EXPECT_EQ(machine.kvm_engine()->run(), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[kRcx], 0x11223348u);
  EXPECT_EQ(machine.state().gpr[kRax] & 0xff, 0x5au);
  EXPECT_EQ(machine.device().value, 0x12345678u);
  EXPECT_EQ(machine.device().last_size, 4u);
}

TEST_F(KvmTest, RegistersOfTheMonitorAnswerForThemselves) {
  SmallMachine machine;
  machine.enter_long_mode();
  machine.handle(x86::kGeneralProtection,
                 {0x49, 0xff, 0xc2, 0x48, 0x83, 0xc4, 0x08, 0x48, 0x83, 0x04, 0x24, 0x02, 0x48, 0xcf},
                 0x140000);  // inc r10; drop the error code; skip two bytes; iretq
  machine.state().gpr[kR10] = 0;
  machine.load({0xb9, 0x1b, 0x00, 0x00, 0x00, 0x0f, 0x32,    // ecx = APIC base; rdmsr
                0x89, 0xc3,                                  // mov ebx, eax
                0xb9, 0x02, 0x08, 0x00, 0x00, 0x0f, 0x32,    // ecx = x2APIC ID; rdmsr
                0xb9, 0x99, 0x99, 0x00, 0x00, 0x0f, 0x32});  // no such register
  EXPECT_EQ(machine.kvm_engine()->run(), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[kRbx], 0xfee00d00u);
  EXPECT_EQ(machine.state().gpr[kRax], 7u);
  EXPECT_EQ(machine.state().gpr[kR10], 1u);
}

TEST_F(KvmTest, AnInterruptEndsAHalt) {
  SmallMachine machine;
  machine.enter_long_mode();
  machine.handle(0x41, {0x49, 0xff, 0xc2, 0x48, 0xcf}, 0x140000);  // inc r10; iretq
  machine.state().gpr[kR10] = 0;
  machine.load({0xfb, 0xf4, 0xfa});  // sti; hlt; cli
  const auto engine = machine.kvm_engine();
  std::thread raiser([&machine] {
    std::this_thread::sleep_for(30ms);
    machine.interrupts().raise(machine.cpu(), 0x41);
  });
  EXPECT_EQ(engine->run(), Stop::kRequested);
  raiser.join();
  EXPECT_EQ(machine.state().gpr[kR10], 1u);
}

TEST_F(KvmTest, AnInterruptWaitsUntilTheGuestTakesIt) {
  SmallMachine machine;
  machine.enter_long_mode();
  machine.handle(0x41, {0x49, 0xff, 0xc2, 0x48, 0xcf}, 0x140000);
  machine.state().gpr[kR10] = 0;
  machine.load({0xb9, 0x00, 0x04, 0x00, 0x00, 0xff, 0xc9, 0x75, 0xfc,  // a loop with interrupts shut out
                0x4c, 0x89, 0xd3,                                      // mov rbx, r10
                0xfb, 0x4d, 0x85, 0xd2, 0x74, 0xfb, 0xfa});            // sti; until r10 is not 0; cli
  machine.interrupts().raise(machine.cpu(), 0x41);
  EXPECT_EQ(machine.kvm_engine()->run(), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[kRbx], 0u);
  EXPECT_EQ(machine.state().gpr[kR10], 1u);
}

TEST_F(KvmTest, ASpinningGuestStopsWhenItIsAsked) {
  SmallMachine machine;
  machine.enter_long_mode();
  machine.load({0xeb, 0xfe});  // jmp to itself
  const auto engine = machine.kvm_engine();
  for (int i = 0; i < 5; ++i) {
    std::thread asker([&machine] {
      std::this_thread::sleep_for(10ms);
      machine.cpu().events.raise(cpu::kEventStop);
    });
    EXPECT_EQ(engine->run(), Stop::kRequested);
    asker.join();
    EXPECT_EQ(machine.state().rip, SmallMachine::kCode);
  }
}

TEST_F(KvmTest, GoesOnWhereAnotherEngineStopped) {
  SmallMachine machine;
  machine.enter_long_mode();
  machine.load({0x48, 0xff, 0xc3, 0xe6, 0xf4, 0xeb, 0xf9});  // inc rbx; out; again
  machine.state().gpr[kRbx] = 0;
  const auto kvm = machine.kvm_engine(), step = machine.step_engine();
  for (uint64_t i = 1; i <= 10; ++i) {
    EXPECT_EQ((i % 2 != 0 ? kvm : step)->run(), Stop::kRequested);
    EXPECT_EQ(machine.state().gpr[kRbx], i);
  }
}

TEST_F(KvmTest, MemoryThatIsShownIsSeen) {
  SmallMachine machine;
  const memory::Region* window = *machine.memory().add_window(0x10000);
  constexpr uint64_t kShown = 0x8000000;
  window->host[0] = 0x77;
  machine.enter_long_mode();
  machine.load(
      {0xbb, 0x00, 0x00, 0x00, 0x08, 0x8a, 0x03, 0xe6, 0xf4, 0xeb, 0xf5});  // mov al, [0x8000000]; out; again
  const auto engine = machine.kvm_engine();
  EXPECT_EQ(engine->run(), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[kRax] & 0xff, 0xffu);
  ASSERT_TRUE(machine.memory().show_window(*window, kShown));
  machine.cpu().events.raise(cpu::kEventMapChanged);
  EXPECT_EQ(engine->run(), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[kRax] & 0xff, 0x77u);
  machine.memory().hide_window(*window);
  machine.cpu().events.raise(cpu::kEventMapChanged);
  EXPECT_EQ(engine->run(), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[kRax] & 0xff, 0xffu);
}

TEST_F(KvmTest, ATripleFaultIsAShutdown) {
  SmallMachine machine;
  machine.enter_long_mode();
  machine.state().idtr = {.base = 0, .limit = 0};
  machine.load({0x0f, 0x0b});  // ud2
  EXPECT_EQ(machine.kvm_engine()->run(), Stop::kShutdown);
}

TEST_F(KvmTest, TheTimeStampCounterIsTheHostsAndAnOffset) {
  SmallMachine machine;
  machine.enter_long_mode();
  machine.state().tsc_offset = uint64_t{1} << 50;
  machine.load({0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0x48, 0x89, 0xc3});  // rdtsc into rbx
  const auto engine = machine.try_kvm_engine();
  if (!engine) GTEST_SKIP() << engine.error().message;
  const uint64_t before = __builtin_ia32_rdtsc();
  EXPECT_EQ((*engine)->run(), Stop::kRequested);
  const uint64_t told = machine.state().gpr[kRbx] - (uint64_t{1} << 50);
  const auto second = uint64_t{machine.cpu().model.tsc_khz()} * 1000;
  EXPECT_LT(told - before + second, 2 * second) << "within a second of the host's";
}

}  // namespace
}  // namespace eidolon::engine
