#include "cpu/saved_state.h"

#include <cstring>
#include <random>

#include "cpu/fixture.h"
#include "cpu/state_image.h"

namespace eidolon::cpu {

namespace {

using namespace x86;

constexpr uint64_t kHostTsc = 1'000'000, kOtherHostTsc = 77;

class SavedState : public CpuTest {
 protected:
  std::vector<uint8_t> save() {
    StateWriter writer;
    save_processor(writer, *cpu, kHostTsc);
    return writer.bytes();
  }
  /// Into a processor that is fresh from its reset.
  Result<> load(const std::vector<uint8_t>& bytes) {
    StateReader reader(bytes);
    other.state.reset();
    return load_processor(reader, other, kOtherHostTsc);
  }
  /// The sentence about a state with something wrong, or nothing.
  std::string complaint() {
    const Result<> loaded = load(save());
    return loaded ? "" : loaded.error().message;
  }

  void use_all_extended_state() {
    for (uint8_t& byte : state.fpu.bytes) byte = static_cast<uint8_t>(random_());
    image::Legacy legacy{};
    std::memcpy(legacy.data() + image::kSt, state.fpu.bytes.data(), 128);
    legacy[image::kFtw] = 0xa5;
    image::store(legacy.data(), image::kFcw, image::kInitialFcw);
    image::set_x87(state.fpu, legacy.data());
    image::store(state.fpu.bytes.data(), image::kMxcsr, image::kInitialMxcsr);
    state.fpu.set_in_use(cpu->model.supported_xcr0());
    state.xcr0 = cpu->model.supported_xcr0();
  }

  std::mt19937 random_{7};
  std::unique_ptr<Cpu> other_ =
      std::make_unique<Cpu>(Surroundings{*memory, ports, mmio, host_model(), nullptr});
  Cpu& other = *other_;
};

TEST_F(SavedState, GoesOnInEveryMode) {
  long_mode(3);
  EXPECT_EQ(complaint(), "");
  protected_mode();
  EXPECT_EQ(complaint(), "");
  virtual_8086();
  EXPECT_EQ(complaint(), "");
  real_mode();
  EXPECT_EQ(complaint(), "");
  state.reset();
  EXPECT_EQ(complaint(), "");
}

TEST_F(SavedState, KeepsRegistersAndSystemState) {
  long_mode();
  for (uint64_t& reg : state.gpr) reg = random_();
  state.segment[kFs].base = 0xffff888000001000;
  state.kernel_gs_base = 0x7fff00001000;
  state.dr = {1, 2, 3, 4};
  state.dr7 = 0x401;
  state.cr2 = 0x1234;
  state.mtrr_variable[1] = 0x800;
  state.mtrr_fixed[10] = 0x0606060606060606;
  state.activity = Activity::kHalted;
  state.interrupt_shadow = state.rip;
  state.nmi_blocked = true;
  ASSERT_EQ(complaint(), "");
  EXPECT_EQ(other.state.gpr, state.gpr);
  EXPECT_EQ(other.state.rip, state.rip);
  EXPECT_EQ(other.state.segment[kFs].base, state.segment[kFs].base);
  EXPECT_EQ(other.state.segment[kCs].attributes, state.segment[kCs].attributes);
  EXPECT_EQ(other.state.tr.base, state.tr.base);
  EXPECT_EQ(other.state.gdtr.limit, state.gdtr.limit);
  EXPECT_EQ(other.state.control.cr3, state.control.cr3);
  EXPECT_EQ(other.state.kernel_gs_base, state.kernel_gs_base);
  EXPECT_EQ(other.state.dr, state.dr);
  EXPECT_EQ(other.state.dr7, state.dr7);
  EXPECT_EQ(other.state.cr2, state.cr2);
  EXPECT_EQ(other.state.mtrr_variable, state.mtrr_variable);
  EXPECT_EQ(other.state.mtrr_fixed, state.mtrr_fixed);
  EXPECT_EQ(other.state.activity, Activity::kHalted);
  EXPECT_EQ(other.state.interrupt_shadow, state.rip);
  EXPECT_TRUE(other.state.nmi_blocked);
}

TEST_F(SavedState, KeepsEveryExtendedComponent) {
  use_all_extended_state();
  ASSERT_EQ(complaint(), "");
  EXPECT_EQ(other.state.fpu.in_use(), state.fpu.in_use());
  EXPECT_EQ(image::guest_legacy(other.state.fpu), image::guest_legacy(state.fpu));
  for (unsigned i = 2; i < 8; ++i) {
    const XsaveComponent& component = cpu->model.xsave_component(i);
    EXPECT_EQ(std::memcmp(other.state.fpu.bytes.data() + component.offset,
                          state.fpu.bytes.data() + component.offset, component.size),
              0)
        << "component " << i;
  }
}

TEST_F(SavedState, TheGuestsTimeStampCounterGoesOn) {
  state.tsc_offset = 5'000;
  state.tsc_adjust = 42;
  ASSERT_EQ(complaint(), "");
  EXPECT_EQ(kOtherHostTsc + other.state.tsc_offset, kHostTsc + 5'000);
  EXPECT_EQ(other.state.tsc_adjust, 42u);
}

TEST_F(SavedState, WhatWasAskedOfTheProcessorIsStillAsked) {
  cpu->events.sipi_vector = 0x9a;
  cpu->events.raise(kEventSipi | kEventNmi | kEventStop | kEventForeignWrite);
  state.activity = Activity::kWaitForSipi;
  ASSERT_EQ(complaint(), "");
  EXPECT_EQ(other.events.pending(), kEventSipi | kEventNmi);
  EXPECT_EQ(other.events.sipi_vector, 0x9a);
  EXPECT_EQ(other.state.activity, Activity::kWaitForSipi);
}

TEST_F(SavedState, AnImpossibleStateIsRefusedAndChangesNothing) {
  const auto refused = [this](const char* part) {
    const std::string sentence = complaint();
    EXPECT_NE(sentence.find(part), std::string::npos) << "'" << sentence << "' does not name " << part;
    EXPECT_EQ(other.state.rip, 0xfff0u);
    long_mode();
  };
  long_mode();
  state.control.cr0 &= ~kCr0Pe;
  refused("CR0");
  state.control.efer &= ~kEferLma;
  refused("EFER");
  state.control.cr4 |= uint64_t{1} << 40;
  refused("CR4");
  state.rflags |= kFlagVm;
  refused("RFLAGS");
  state.segment[kDs].base = uint64_t{1} << 32;
  refused("segment");
  state.segment[kGs].base = uint64_t{1} << 63;
  refused("segment");
  state.segment[kSs].attributes |= kAttrDpl;
  refused("privilege");
  state.segment[kCs].attributes |= kAttrBig;
  refused("privilege");
  state.tr.attributes = kAttrPresent | kTss32Available;
  refused("task register");
  state.gdtr.base = uint64_t{1} << 63;
  refused("descriptor table");
  state.dr7 = 0;
  refused("debug register");
  state.pat = 0x0202020202020202;
  refused("PAT");
  state.lstar = uint64_t{1} << 63;
  refused("model-specific");
  state.xcr0 = kXcr0Avx;
  refused("XCR0");
  state.activity = static_cast<Activity>(9);
  refused("activity");
  protected_mode();
  state.rip = uint64_t{1} << 32;
  refused("RIP");
}

TEST_F(SavedState, AComponentThatThisModelLacksIsRefused) {
  const CpuidModel small = CpuidModel::create("x86-64-v2").value();
  const auto lesser = std::make_unique<Cpu>(Surroundings{*memory, ports, mmio, small, nullptr});
  use_all_extended_state();
  state.xcr0 = 1;
  const std::vector<uint8_t> bytes = save();
  StateReader reader(bytes);
  EXPECT_FALSE(load_processor(reader, *lesser, kOtherHostTsc));
}

TEST_F(SavedState, CutAtAnyByteItIsRefused) {
  use_all_extended_state();
  const std::vector<uint8_t> whole = save();
  for (size_t length = 0; length < whole.size(); ++length) {
    std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length));
    EXPECT_FALSE(load(cut)) << length;
  }
}

TEST_F(SavedState, AnotherProcessorsStateIsRefused) {
  const auto second = std::make_unique<Cpu>(Surroundings{*memory, ports, mmio, host_model(), nullptr}, 1);
  const std::vector<uint8_t> bytes = save();
  StateReader reader(bytes);
  const Result<> loaded = load_processor(reader, *second, 0);
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("processor 1"), std::string::npos);
}

}  // namespace

}  // namespace eidolon::cpu
