// State images against the host processor: the same instruction with the same state and memory, here and
// natively. Pointers (FIP, FDP, FOP) are zero here by design and left out of the comparison.
#include "cpu/state_image.h"

#include <algorithm>
#include <random>

#include "cpu/fixture.h"
#include "cpu/native_state.h"

namespace eidolon::cpu {

namespace {

using namespace image;
using namespace x86;
using Feature = CpuidModel::Feature;
using Area = std::array<uint8_t, 4096>;

constexpr unsigned kRounds = 300;

class StateImage : public CpuTest {
 protected:
  StateImage() {
    long_mode();
    state.xcr0 = host_model().supported_xcr0();
    state.gpr[kRdi] = kData;
    set_mask(~uint64_t{0});
  }

  void set_mask(uint64_t mask) {
    state.gpr[kRax] = mask & 0xffffffff;
    state.gpr[kRdx] = mask >> 32;
  }

  /// A register state with every kind of x87 value, and some components in their initial state.
  XsaveImage random_state() {
    XsaveImage fpu;
    for (uint8_t& byte : fpu.bytes) byte = static_cast<uint8_t>(random());
    uint8_t* bytes = fpu.bytes.data();
    std::memset(bytes, 0, kXmm - 128);
    store(bytes, kFcw, static_cast<uint16_t>((random() & 0x1f3f) | 0x7f));  // all masked
    store(bytes, kFsw, static_cast<uint16_t>(random() & 0x7f7f));
    bytes[kFtw] = static_cast<uint8_t>(random());
    store(bytes, kMxcsr, static_cast<uint32_t>(random() & 0xffff));
    for (unsigned i = 0; i < 8; ++i) random_x87(bytes + kSt + 16 * i);
    std::memset(bytes + kLegacySize, 0, kHeaderSize);
    fpu.set_in_use(random() & host_model().supported_xcr0());
    return fpu;
  }

  void random_x87(uint8_t* st) {
    constexpr uint16_t kExponents[] = {0, 0x7fff, 0x3fff, 0xffff, 0x8000, 0x1234};
    constexpr uint64_t kMantissas[] = {0, uint64_t{1} << 63, uint64_t{3} << 62, 1, ~uint64_t{0}};
    std::memset(st, 0, 16);
    store(st, 0, kMantissas[random() % 5]);
    store(st, 8, kExponents[random() % 6]);
  }

  /// Everything that a program could see of a state, components in their initial state spelled out.
  static Area visible(const XsaveImage& fpu) {
    Area bytes{};
    const Legacy legacy = guest_legacy(fpu);
    std::memcpy(bytes.data(), legacy.data(), legacy.size());
    for (unsigned i = 2; i < 8; ++i) {
      if ((fpu.in_use() >> i & 1) == 0) continue;
      const XsaveComponent& component = host_model().xsave_component(i);
      std::memcpy(bytes.data() + component.offset, fpu.bytes.data() + component.offset, component.size);
    }
    return bytes;
  }

  void fill(Area& area) {
    for (uint8_t& byte : area) byte = static_cast<uint8_t>(random());
  }
  void to_guest(const Area& area) { ASSERT_TRUE(memory->write(kData, area.data(), area.size())); }
  Area from_guest() {
    Area area;
    EXPECT_TRUE(memory->read(kData, area.data(), area.size()));
    return area;
  }

  uint64_t random() { return random_(); }

  alignas(64) Area native{};

 private:
  std::mt19937_64 random_{20240917};
};

/// The offset of the first difference, or -1: a readable failure for 4 KiB of bytes.
int first_difference(const Area& a, const Area& b) {
  const auto at = std::ranges::mismatch(a, b).in1;
  return at == a.end() ? -1 : static_cast<int>(at - a.begin());
}

void forget_pointers(Area& area, unsigned from, unsigned size) { std::memset(area.data() + from, 0, size); }

TEST_F(StateImage, Fxsave) {
  for (unsigned round = 0; round < kRounds; ++round) {
    fill(native);
    to_guest(native);
    state.fpu = random_state();
    static_cast<void>(run_natively(ImageInstruction::kFxsave, state.fpu, native.data(), 0));
    ASSERT_TRUE(run({0x48, 0x0f, 0xae, 0x07}));
    forget_pointers(native, kPointers, kMxcsr - kPointers);
    store(native.data(), kMxcsrMask, kMxcsrDefined);
    ASSERT_EQ(first_difference(from_guest(), native), -1) << "round " << round;
  }
}

TEST_F(StateImage, Fxrstor) {
  for (unsigned round = 0; round < kRounds; ++round) {
    fill(native);
    store(native.data(), kMxcsr, static_cast<uint32_t>(random() & 0xffff));
    to_guest(native);
    state.fpu = random_state();
    const XsaveImage after = run_natively(ImageInstruction::kFxrstor, state.fpu, native.data(), 0);
    ASSERT_TRUE(run({0x48, 0x0f, 0xae, 0x0f}));
    ASSERT_EQ(first_difference(visible(state.fpu), visible(after)), -1) << "round " << round;
  }
}

struct Environment {
  ImageInstruction instruction;
  std::vector<int> code;
  bool saves;
  unsigned pointers;  ///< where they are in the image
  unsigned pointer_bytes;
};

class X87Environment : public StateImage, public ::testing::WithParamInterface<Environment> {};

TEST_P(X87Environment, IsThatOfTheHost) {
  const Environment& env = GetParam();
  for (unsigned round = 0; round < kRounds; ++round) {
    fill(native);
    to_guest(native);
    state.fpu = random_state();
    const XsaveImage after = run_natively(env.instruction, state.fpu, native.data(), 0);
    ASSERT_TRUE(run(env.code));
    ASSERT_EQ(first_difference(visible(state.fpu), visible(after)), -1) << "round " << round;
    Area guest = from_guest();
    if (env.saves) {
      forget_pointers(native, env.pointers, env.pointer_bytes);
      forget_pointers(guest, env.pointers, env.pointer_bytes);
    }
    ASSERT_EQ(first_difference(guest, native), -1) << "round " << round;
  }
}

// The last double word of the wide form keeps its upper half, which is no pointer.
INSTANTIATE_TEST_SUITE_P(
    All, X87Environment,
    ::testing::Values(Environment{ImageInstruction::kFnstenv, {0xd9, 0x37}, true, 12, 14},
                      Environment{ImageInstruction::kFnstenv16, {0x66, 0xd9, 0x37}, true, 6, 8},
                      Environment{ImageInstruction::kFldenv, {0xd9, 0x27}, false, 0, 0},
                      Environment{ImageInstruction::kFldenv16, {0x66, 0xd9, 0x27}, false, 0, 0},
                      Environment{ImageInstruction::kFnsave, {0xdd, 0x37}, true, 12, 14},
                      Environment{ImageInstruction::kFnsave16, {0x66, 0xdd, 0x37}, true, 6, 8},
                      Environment{ImageInstruction::kFrstor, {0xdd, 0x27}, false, 0, 0},
                      Environment{ImageInstruction::kFrstor16, {0x66, 0xdd, 0x27}, false, 0, 0}));

TEST_F(StateImage, Xsave) {
  for (unsigned round = 0; round < kRounds; ++round) {
    fill(native);
    std::memset(native.data() + kLegacySize, 0, kHeaderSize);
    to_guest(native);
    state.fpu = random_state();
    const uint64_t mask = random() & state.xcr0;
    set_mask(mask | ~state.xcr0);  // what XCR0 lacks is ignored
    static_cast<void>(run_natively(ImageInstruction::kXsave, state.fpu, native.data(), mask));
    ASSERT_TRUE(run({0x48, 0x0f, 0xae, 0x27}));
    Area guest = from_guest();
    if ((mask & kXcr0X87) != 0) forget_pointers(native, kPointers, kMxcsr - kPointers);
    if ((mask & (kXcr0Sse | kXcr0Avx)) != 0) store(native.data(), kMxcsrMask, kMxcsrDefined);
    // A processor may count an unused x87 or SSE state as in use, or the other way round.
    guest[kLegacySize] = static_cast<uint8_t>(guest[kLegacySize] & ~3u);
    native[kLegacySize] = static_cast<uint8_t>(native[kLegacySize] & ~3u);
    ASSERT_EQ(first_difference(guest, native), -1) << "round " << round << " mask " << mask;
  }
}

/// Saves here are understood by the host's XRSTOR, and those of the host here.
class SaveAndRestore : public StateImage {
 protected:
  void exchange(ImageInstruction save, const std::vector<int>& code) {
    for (unsigned round = 0; round < kRounds; ++round) {
      const uint64_t mask = random() & state.xcr0;
      set_mask(mask);
      const XsaveImage saved = random_state();
      const XsaveImage before = random_state();

      std::memset(native.data(), 0, native.size());
      to_guest(native);
      state.fpu = saved;
      ASSERT_TRUE(run(code));
      Area ours = from_guest();
      std::memcpy(native.data(), ours.data(), ours.size());
      const XsaveImage expected = run_natively(ImageInstruction::kXrstor, before, native.data(), mask);
      state.fpu = before;
      ASSERT_TRUE(run({0x48, 0x0f, 0xae, 0x2f}));
      ASSERT_EQ(first_difference(visible(state.fpu), visible(expected)), -1)
          << "round " << round << " mask " << mask;

      std::memset(native.data(), 0, native.size());
      static_cast<void>(run_natively(save, saved, native.data(), mask));
      to_guest(native);
      state.fpu = before;
      ASSERT_TRUE(run({0x48, 0x0f, 0xae, 0x2f}));
      ASSERT_EQ(first_difference(visible(state.fpu), visible(expected)), -1)
          << "round " << round << " mask " << mask;
    }
  }
};

TEST_F(SaveAndRestore, Xsave) { exchange(ImageInstruction::kXsave, {0x48, 0x0f, 0xae, 0x27}); }
TEST_F(SaveAndRestore, XsaveOpt) {
  if (!host_model().has(Feature::kXsaveOpt)) GTEST_SKIP() << "the host has no XSAVEOPT";
  exchange(ImageInstruction::kXsaveOpt, {0x48, 0x0f, 0xae, 0x37});
}
TEST_F(SaveAndRestore, XsaveC) {
  if (!host_model().has(Feature::kXsaveC)) GTEST_SKIP() << "the host has no XSAVEC";
  exchange(ImageInstruction::kXsaveC, {0x48, 0x0f, 0xc7, 0x27});
}

// Whatever the host processor took to be in use: a component that holds nothing is in its initial state.
TEST_F(StateImage, WhatHoldsNothingIsNotInUse) {
  const uint64_t all = host_model().supported_xcr0();
  state.xcr0 = all;
  Area full;
  fill(full);
  const auto saved = [&](const std::vector<int>& code) {
    to_guest(full);
    set_mask(all);
    EXPECT_TRUE(run(code));
    return from_guest();
  };
  const auto in_use = [](const Area& area) { return load<uint64_t>(area.data(), kLegacySize); };
  const std::vector<int> xsave = {0x48, 0x0f, 0xae, 0x27}, xsavec = {0x48, 0x0f, 0xc7, 0x27};

  state.fpu = XsaveImage{};
  store(state.fpu.bytes.data(), kFcw, kInitialFcw);
  store(state.fpu.bytes.data(), kMxcsr, kInitialMxcsr);
  state.fpu.set_in_use(all);
  EXPECT_EQ(in_use(saved(xsave)) & all, 0u);
  if (!host_model().has(Feature::kXsaveC)) return;
  Area expected = full;
  store(expected.data(), kLegacySize, uint64_t{0});
  store(expected.data(), kLegacySize + 8, uint64_t{1} << 63 | all);
  EXPECT_EQ(first_difference(saved(xsavec), expected), -1);

  store(state.fpu.bytes.data(), kMxcsr, uint32_t{0x3f80});
  EXPECT_EQ(in_use(saved(xsavec)), kXcr0Sse);
  EXPECT_EQ(in_use(saved(xsave)) & all, 0u);
  store(state.fpu.bytes.data(), kSt, uint8_t{1});
  EXPECT_EQ(in_use(saved(xsavec)), kXcr0X87 | kXcr0Sse);

  if (!host_model().has(Feature::kXgetbv1)) return;
  state.gpr[kRcx] = 1;
  ASSERT_TRUE(run({0x0f, 0x01, 0xd0}));
  EXPECT_EQ(state.gpr[kRax], kXcr0X87);
}

TEST_F(StateImage, XrstorRejectsBadHeaders) {
  const auto restore = [this](unsigned offset, uint64_t value) {
    Area area{};
    store(area.data(), offset, value);
    to_guest(area);
    state.fpu = random_state();
    const XsaveImage before = state.fpu;
    const int vector = vector_of(run({0x48, 0x0f, 0xae, 0x2f}));
    EXPECT_EQ(state.fpu.bytes == before.bytes, vector >= 0);
    return vector;
  };
  EXPECT_EQ(restore(kLegacySize, 0), -1);
  EXPECT_EQ(restore(kLegacySize, uint64_t{1} << 3), kGeneralProtection);  // not in XCR0
  EXPECT_EQ(restore(kLegacySize + 8, 1), kGeneralProtection);             // XCOMP_BV without its top bit
  EXPECT_EQ(restore(kLegacySize + 16, 1), kGeneralProtection);            // reserved
  EXPECT_EQ(restore(kLegacySize + 24, 1), -1);                            // not looked at
  EXPECT_EQ(restore(kMxcsr, 0x10000), kGeneralProtection);
  if (!host_model().has(Feature::kXsaveC)) return;
  constexpr uint64_t kCompacted = uint64_t{1} << 63;
  EXPECT_EQ(restore(kLegacySize + 8, kCompacted | 3), -1);
  EXPECT_EQ(restore(kLegacySize + 8, kCompacted | 1 << 3), kGeneralProtection);
}

TEST_F(StateImage, AlignmentAndAvailability) {
  state.gpr[kRdi] = kData + 8;
  EXPECT_EQ(vector_of(run({0x0f, 0xae, 0x07})), kGeneralProtection);  // fxsave
  state.gpr[kRdi] = kData + 16;
  EXPECT_TRUE(run({0x0f, 0xae, 0x07}));
  EXPECT_EQ(vector_of(run({0x0f, 0xae, 0x27})), kGeneralProtection);  // xsave
  EXPECT_EQ(vector_of(run({0x0f, 0xae, 0x2f})), kGeneralProtection);  // xrstor
  state.gpr[kRdi] = kData;
  state.control.cr0 |= kCr0Ts;
  EXPECT_EQ(vector_of(run({0x0f, 0xae, 0x07})), kDeviceNotAvailable);
  EXPECT_EQ(vector_of(run({0x0f, 0xae, 0x27})), kDeviceNotAvailable);
  EXPECT_EQ(vector_of(run({0xd9, 0x37})), kDeviceNotAvailable);  // fnstenv
  state.control.cr0 = (state.control.cr0 & ~kCr0Ts) | kCr0Em;
  EXPECT_EQ(vector_of(run({0x0f, 0xae, 0x07})), kInvalidOpcode);
  EXPECT_EQ(vector_of(run({0xdd, 0x37})), kDeviceNotAvailable);  // fnsave
  state.control.cr0 &= ~kCr0Em;
  state.control.cr4 &= ~kCr4OsXsave;
  EXPECT_EQ(vector_of(run({0x0f, 0xae, 0x27})), kInvalidOpcode);
}

TEST_F(StateImage, AFaultInTheMiddleStoresNothing) {
  // The second page is not mapped: neither are the wider components.
  constexpr uint64_t kEdge = (uint64_t{1} << 30) - 0x240;
  state.gpr[kRdi] = kEdge;
  EXPECT_EQ(vector_of(run({0x48, 0x0f, 0xae, 0x27})), kPageFault);
  EXPECT_EQ(state.rip, kCode);
}

TEST_F(StateImage, OutsideLongModeOnlyEightRegistersMove) {
  protected_mode();
  state.gpr[kRdi] = kData;
  state.fpu = random_state();
  state.fpu.set_in_use(3);
  Area area{};
  to_guest(area);
  ASSERT_TRUE(run({0x0f, 0xae, 0x07}));  // fxsave [edi]
  Area saved = from_guest();
  EXPECT_EQ(std::memcmp(saved.data() + kXmm, state.fpu.bytes.data() + kXmm, 128), 0);
  EXPECT_EQ(std::memcmp(saved.data() + kXmm + 128, area.data(), 128), 0);

  const XsaveImage before = state.fpu;
  store(area.data(), kMxcsr, uint32_t{0x1f80});
  to_guest(area);
  ASSERT_TRUE(run({0x0f, 0xae, 0x0f}));  // fxrstor [edi]
  EXPECT_EQ(std::memcmp(state.fpu.bytes.data() + kXmm, area.data() + kXmm, 128), 0);
  EXPECT_EQ(std::memcmp(state.fpu.bytes.data() + kXmm + 128, before.bytes.data() + kXmm + 128, 128), 0);
}

TEST_F(StateImage, PendingExceptionsStopTheWaitingForms) {
  state.fpu = random_state();
  uint8_t* bytes = state.fpu.bytes.data();
  state.fpu.set_in_use(1);
  store(bytes, kFcw, uint16_t{0x340});
  store(bytes, kFsw, uint16_t{0x81});
  EXPECT_EQ(vector_of(run({0xdd, 0x27})), kX87Fault);  // frstor
  EXPECT_EQ(vector_of(run({0xd9, 0x27})), kX87Fault);  // fldenv
  ASSERT_TRUE(run({0xdd, 0x37}));                      // fnsave
  EXPECT_EQ(load<uint16_t>(bytes, kFcw), kInitialFcw);
  EXPECT_EQ(load<uint16_t>(bytes, kFsw), 0);
}

}  // namespace

}  // namespace eidolon::cpu
