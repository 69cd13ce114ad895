// Operands where the host cannot reach them: MMIO, ROM, page crossings, pages with translations.
#include "step/fixture.h"

namespace eidolon::engine {
namespace {

class StepMemory : public StepTest {
 protected:
  StepMemory() { long_mode(); }
};

TEST_F(StepMemory, AnMmioStoreHasTheInstructionsWidth) {
  state.gpr[x86::kRbx] = kDevice + 4;
  state.gpr[x86::kRax] = 0x11223344;
  code({0x66, 0x89, 0x03});  // mov [rbx], ax
  EXPECT_EQ(execute(), -1);
  ASSERT_EQ(registers.writes.size(), 1u);
  EXPECT_EQ(registers.writes[0], (cpu::RecordingDevice::Access{4, 2, 0x3344}));
  EXPECT_TRUE(registers.reads.empty());
}

TEST_F(StepMemory, AnMmioReadModifyWriteReadsOnceAndWritesOnce) {
  state.gpr[x86::kRbx] = kDevice;
  registers.answer = 0xf0;
  code({0x83, 0x0b, 0x01});  // or dword [rbx], 1
  EXPECT_EQ(execute(), -1);
  EXPECT_EQ(registers.reads.size(), 1u);
  ASSERT_EQ(registers.writes.size(), 1u);
  EXPECT_EQ(registers.writes[0], (cpu::RecordingDevice::Access{0, 4, 0xf1}));
}

TEST_F(StepMemory, AMaskedStoreTouchesOnlyItsElements) {
  if ((cpu::host_model().supported_xcr0() & x86::kXcr0Avx) == 0) GTEST_SKIP() << "the host has no AVX";
  state.xcr0 = x86::kXcr0X87 | x86::kXcr0Sse | x86::kXcr0Avx;
  state.gpr[x86::kRbx] = kDevice;
  code({0xc5, 0xf1, 0x76, 0xc9});  // vpcmpeqd xmm1, xmm1, xmm1
  ASSERT_EQ(execute(), -1);
  code({0xc5, 0xf1, 0x73, 0xd9, 0x08});  // vpsrldq xmm1, xmm1, 8: elements 0 and 1
  ASSERT_EQ(execute(), -1);
  code({0xc4, 0xe2, 0x71, 0x2e, 0x13});  // vmaskmovps [rbx], xmm1, xmm2
  ASSERT_EQ(execute(), -1);
  ASSERT_EQ(registers.writes.size(), 2u);
  EXPECT_EQ(registers.writes[1], (cpu::RecordingDevice::Access{4, 4, 0}));
}

TEST_F(StepMemory, AStoreToAPageWithTranslationsTellsTheObserver) {
  struct Observer : memory::CodeObserver {
    void code_written(memory::GuestPhysical address, uint64_t length) override {
      first = address;
      size = length;
    }
    uint64_t first = 0, size = 0;
  } observer;
  memory->set_code_observer(&observer);
  memory->mark_code(kData);
  state.gpr[x86::kRbx] = kData + 8;
  state.gpr[x86::kRcx] = 5;
  code({0xf0, 0x48, 0x0f, 0xc1, 0x0b});  // lock xadd [rbx], rcx
  EXPECT_EQ(execute(), -1);
  EXPECT_EQ(observer.first, kData + 8);
  EXPECT_EQ(observer.size, 8u);
  EXPECT_EQ(get<uint64_t>(kData + 8), 5u);
  memory->set_code_observer(nullptr);
}

TEST_F(StepMemory, AFaultOnTheSecondPageLeavesTheFirstAlone) {
  put<uint64_t>(kTables + 0x2000 + 8, 0);  // the second 2 MiB are not present
  cpu->mmu.invalidate_all();
  state.gpr[x86::kRbx] = 0x1ffffc;
  state.gpr[x86::kRax] = ~uint64_t{0};
  code({0x48, 0x89, 0x03});  // mov [rbx], rax
  const auto done = engine.execute_one();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().vector, x86::kPageFault);
  EXPECT_EQ(done.error().address, 0x200000u);
  EXPECT_EQ(get<uint32_t>(0x1ffffc), 0u);
}

TEST_F(StepMemory, NewBytesAtAnAddressAreSeen) {
  code({0x90});
  EXPECT_EQ(execute(), -1);
  state.rip -= 1;
  code({0x48, 0xff, 0xc0});  // inc rax
  state.gpr[x86::kRax] = 41;
  EXPECT_EQ(execute(), -1);
  EXPECT_EQ(state.gpr[x86::kRax], 42u);
}

TEST_F(StepMemory, TheCachesSurviveMoreInstructionsThanTheyHold) {
  for (int i = 0; i < 60000; ++i) {
    const uint64_t start = state.rip;
    code({0x48, 0xc7, 0xc0, i & 0xff, i >> 8 & 0xff, i >> 16, 0});  // mov rax, i
    ASSERT_EQ(execute(), -1);
    ASSERT_EQ(state.gpr[x86::kRax], static_cast<uint64_t>(i));
    state.rip = start;
  }
}

TEST_F(StepMemory, AlignmentIsCheckedForUsersWhoAskForIt) {
  long_mode(3);
  state.control.cr0 |= x86::kCr0Am;
  state.rflags |= x86::kFlagAc;
  state.gpr[x86::kRbx] = kData + 1;
  code({0x8b, 0x03});  // mov eax, [rbx]
  EXPECT_EQ(execute(), x86::kAlignmentCheck);
}

}  // namespace
}  // namespace eidolon::engine
