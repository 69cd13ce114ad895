// What Intel's and AMD's processors do differently (cpu/vendor_rules.h), each on an engine with the rules of
// that vendor, whatever the host is.
#include <cstring>

#include "step/fixture.h"

namespace eidolon::engine {
namespace {

class StepVendor : public StepTest {
 protected:
  static constexpr uint64_t kMissing = 0x200000;  ///< the page behind it is not mapped

  [[nodiscard]] int on(StepEngine& one) { return cpu::vector_of(one.execute_one()); }
  void unmap_upper() {
    put<uint64_t>(kTables + 0x2000 + 8, 0);
    cpu->mmu.invalidate_all();
  }

  StepEngine intel{*cpu, cpu::kIntelRules};
  StepEngine amd{*cpu, cpu::kAmdRules};
};

TEST_F(StepVendor, ANarrowJumpIn64BitMode) {
  long_mode();
  code({0x66, 0xeb, 0x10});  // jmp +16
  EXPECT_EQ(on(intel), -1);
  EXPECT_EQ(state.rip, kCode + 0x13);
  state.rip = kCode;
  EXPECT_EQ(on(amd), -1);
  EXPECT_EQ(state.rip, (kCode + 0x13) & 0xffff);
}

TEST_F(StepVendor, ANarrowCallIn64BitModePushesAWord) {
  long_mode();
  put<uint64_t>(kStackTop - 8, 0);
  code({0x66, 0xe8, 0x10, 0x00, 0x00, 0x00});  // call +16
  EXPECT_EQ(on(intel), -1);
  EXPECT_EQ(state.rip, kCode + 0x16);
  EXPECT_EQ(state.gpr[x86::kRsp], kStackTop - 8);
  EXPECT_EQ(get<uint64_t>(kStackTop - 8), kCode + 6);
  state.rip = kCode;
  state.gpr[x86::kRsp] = kStackTop;
  EXPECT_EQ(on(amd), -1);
  EXPECT_EQ(state.rip, 0x14u);  // two bytes less of displacement
  EXPECT_EQ(state.gpr[x86::kRsp], kStackTop - 2);
  EXPECT_EQ(get<uint16_t>(kStackTop - 2), 4u);
}

TEST_F(StepVendor, ANarrowReturnIn64BitModePopsAWord) {
  long_mode();
  put<uint64_t>(kStackTop, 0x12345);
  code({0x66, 0xc3});  // ret
  EXPECT_EQ(on(intel), -1);
  EXPECT_EQ(state.rip, 0x12345u);
  EXPECT_EQ(state.gpr[x86::kRsp], kStackTop + 8);
  state.rip = kCode;
  state.gpr[x86::kRsp] = kStackTop;
  EXPECT_EQ(on(amd), -1);
  EXPECT_EQ(state.rip, 0x2345u);
  EXPECT_EQ(state.gpr[x86::kRsp], kStackTop + 2);
}

TEST_F(StepVendor, ACallToNowhereStoresItsReturnAddressOrNot) {
  long_mode();
  put<uint64_t>(kStackTop - 8, 0xabc);
  state.gpr[x86::kRax] = uint64_t{1} << 60;
  code({0xff, 0xd0});  // call rax
  EXPECT_EQ(on(amd), x86::kGeneralProtection);
  EXPECT_EQ(get<uint64_t>(kStackTop - 8), 0xabcu);
  EXPECT_EQ(on(intel), x86::kGeneralProtection);
  EXPECT_EQ(get<uint64_t>(kStackTop - 8), kCode + 2);
  EXPECT_EQ(state.gpr[x86::kRsp], kStackTop);
}

TEST_F(StepVendor, AScanThatFaultsKeepsItsFlagsOrThoseOfTheLastElement) {
  long_mode();
  unmap_upper();
  put<uint16_t>(kMissing - 2, 0x0201);
  state.gpr[x86::kRax] = 2;
  state.gpr[x86::kRcx] = 5;
  state.gpr[x86::kRdi] = kMissing - 2;
  state.rflags |= x86::kFlagSf;
  code({0xf2, 0xae});  // repne scasb: 1, then 2 is found
  EXPECT_EQ(on(amd), -1);
  EXPECT_EQ(state.gpr[x86::kRcx], 3u);

  state.rip = kCode;
  state.gpr[x86::kRax] = 3;
  state.gpr[x86::kRcx] = 5;
  state.gpr[x86::kRdi] = kMissing - 2;
  state.rflags = (state.rflags & ~x86::kFlagsArithmetic) | x86::kFlagSf;
  EXPECT_EQ(on(intel), x86::kPageFault);
  EXPECT_EQ(state.gpr[x86::kRcx], 3u);
  EXPECT_EQ(state.rflags & x86::kFlagsArithmetic, x86::kFlagSf);

  state.gpr[x86::kRcx] = 5;
  state.gpr[x86::kRdi] = kMissing - 2;
  EXPECT_EQ(on(amd), x86::kPageFault);
  EXPECT_EQ(state.gpr[x86::kRcx], 3u);
  EXPECT_EQ(state.rflags & x86::kFlagsArithmetic, 0u);  // of 3 - 2
}

TEST_F(StepVendor, BoundLooksAtItsSecondBoundOrNot) {
  protected_mode();
  state.segment[x86::kDs].limit = kData + 3;
  put<uint32_t>(kData, 10);
  state.gpr[x86::kRbx] = kData;
  state.gpr[x86::kRax] = 5;
  code({0x62, 0x03});  // bound eax, [ebx]
  EXPECT_EQ(on(intel), x86::kBoundRange);
  EXPECT_EQ(on(amd), x86::kGeneralProtection);
}

TEST_F(StepVendor, AStoreThatAnX87ExceptionSuppressesFaultsOrNot) {
  long_mode();
  unmap_upper();
  const uint16_t invalid_unmasked = 0x037e;
  std::memcpy(state.fpu.bytes.data(), &invalid_unmasked, sizeof invalid_unmasked);
  state.fpu.bytes[512] |= x86::kXcr0X87;
  state.gpr[x86::kRbx] = kMissing;
  const cpu::State before = state;
  code({0xdb, 0x13});  // fist [rbx], from an empty register
  EXPECT_EQ(on(amd), x86::kPageFault);
  state = before;
  EXPECT_EQ(on(intel), -1);
}

}  // namespace
}  // namespace eidolon::engine
