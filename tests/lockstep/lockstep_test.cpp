// Small guests on which both engines must agree, and differences made on purpose that must be found.
#include "lockstep/small_guest.h"

namespace eidolon::engine {
namespace {

// mov ecx, 1000; again: add rax, rcx; push rax; pop rbx; dec ecx; jnz again
const std::vector<uint8_t> kLoop = {0xb9, 0xe8, 0x03, 0x00, 0x00, 0x48, 0x01,
                                    0xc8, 0x50, 0x5b, 0xff, 0xc9, 0x75, 0xf7};
constexpr uint64_t kSomewhere = 500;  // a round in the middle of it

bool mentions(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

TEST(Lockstep, AgreesOnALoop) {
  SmallGuest guest;
  ASSERT_EQ(guest.run(kLoop), Stop::kRequested) << guest.engine().report();
  EXPECT_EQ(guest.state().gpr[x86::kRax], 500500u);
  EXPECT_GE(guest.engine().rounds(), 1000u);
  EXPECT_GE(guest.engine().instructions(), 5000u);
  EXPECT_TRUE(guest.engine().check_all()) << guest.engine().report();
}

TEST(Lockstep, GivesBothTheSamePortsAndTime) {
  SmallGuest guest;
  // in al, 0x60; mov bl, al; in al, 0x60; rdtsc
  ASSERT_EQ(guest.run({0xe4, 0x60, 0x88, 0xc3, 0xe4, 0x60, 0x0f, 0x31}), Stop::kRequested)
      << guest.engine().report();
  EXPECT_EQ(guest.state().gpr[x86::kRbx] & 0xff, 1u);
}

TEST(Lockstep, AgreesOnALongStringThatIsDoneInParts) {
  SmallGuest guest;
  guest.state().gpr[x86::kRdi] = SmallGuest::kData + 5;  // so that pages end within elements
  guest.state().gpr[x86::kRcx] = 300'000;
  guest.state().gpr[x86::kRax] = 0x1122334455667788;
  ASSERT_EQ(guest.run({0xf3, 0x48, 0xab}), Stop::kRequested) << guest.engine().report();  // rep stosq
  EXPECT_EQ(guest.state().gpr[x86::kRcx], 0u);
  EXPECT_TRUE(guest.engine().check_all()) << guest.engine().report();
}

TEST(Lockstep, TheResumeFlagEndsWithTheFirstRoundOfALoop) {
  SmallGuest guest;
  guest.state().rflags |= x86::kFlagRf;
  guest.state().gpr[x86::kRcx] = 3;
  // again: dec ecx; jnz again: back at the address where the block was entered
  ASSERT_EQ(guest.run({0xff, 0xc9, 0x75, 0xfc}), Stop::kRequested) << guest.engine().report();
  EXPECT_EQ(guest.state().rflags & x86::kFlagRf, 0u);
}

TEST(Lockstep, AgreesOnAShutdown) {
  SmallGuest guest;
  EXPECT_EQ(guest.run({0x0f, 0x0b}), Stop::kShutdown) << guest.engine().report();  // ud2 without an IDT
}

TEST(Lockstep, FindsAWrongRegister) {
  SmallGuest guest({.disturb = [](uint64_t round, cpu::State& state) {
    if (round == kSomewhere) state.gpr[x86::kRbx] ^= 4;
  }});
  ASSERT_EQ(guest.run(kLoop), Stop::kDisagreement);
  EXPECT_EQ(guest.engine().rounds(), kSomewhere);
  EXPECT_TRUE(mentions(guest.engine().report(), "rbx: translate ")) << guest.engine().report();
  EXPECT_TRUE(mentions(guest.engine().report(), "add rax, rcx")) << guest.engine().report();
  EXPECT_EQ(guest.run(kLoop), Stop::kDisagreement) << "there is no way on";
}

TEST(Lockstep, FindsAWrongFlagThatTheGuestCouldSee) {
  SmallGuest guest({.disturb = [](uint64_t round, cpu::State& state) {
    if (round == 3) state.rflags ^= x86::kFlagCf;
  }});
  // xor eax, eax; jmp to next, twice (each ends a round); adc eax, 0
  ASSERT_EQ(guest.run({0x31, 0xc0, 0xeb, 0x00, 0xeb, 0x00, 0xeb, 0x00, 0x83, 0xd0, 0x00}),
            Stop::kDisagreement);
  EXPECT_TRUE(mentions(guest.engine().report(), "rflags: translate ")) << guest.engine().report();
}

TEST(Lockstep, FindsAWrongHiddenSegmentBase) {
  SmallGuest guest({.disturb = [](uint64_t round, cpu::State& state) {
    if (round == kSomewhere) state.segment[x86::kGs].base += 8;
  }});
  ASSERT_EQ(guest.run(kLoop), Stop::kDisagreement);
  EXPECT_TRUE(mentions(guest.engine().report(), "gs base: ")) << guest.engine().report();
}

TEST(Lockstep, FindsAWrongVectorRegister) {
  SmallGuest guest({.rounds_per_extended_check = 1, .disturb = [](uint64_t round, cpu::State& state) {
                      if (round != kSomewhere) return;
                      state.fpu.set_in_use(state.fpu.in_use() | x86::kXcr0Sse);
                      state.fpu.bytes[160 + 16 * 3] ^= 1;
                    }});
  ASSERT_EQ(guest.run(kLoop), Stop::kDisagreement);
  EXPECT_TRUE(mentions(guest.engine().report(), "FXSAVE image at 208")) << guest.engine().report();
}

TEST(Lockstep, FindsAStoreThatOneOfThemMissed) {
  // The memory of the translator's guest changes behind the step engine's back.
  SmallGuest* machine = nullptr;
  SmallGuest guest({.rounds_per_memory_check = 100, .disturb = [&machine](uint64_t round, cpu::State&) {
                      if (round == kSomewhere + 1) *machine->memory().host(SmallGuest::kData, 1) = 1;
                    }});
  machine = &guest;
  ASSERT_EQ(guest.run(kLoop), Stop::kDisagreement);
  EXPECT_EQ(guest.engine().rounds(), 600u);
  EXPECT_TRUE(mentions(guest.engine().report(), "memory at physical 0x300000")) << guest.engine().report();
}

TEST(Lockstep, FindsAWrongTurn) {
  SmallGuest guest({.disturb = [](uint64_t round, cpu::State& state) {
    if (round == kSomewhere) state.rip += 3;
  }});
  ASSERT_EQ(guest.run(kLoop), Stop::kDisagreement);
  EXPECT_TRUE(mentions(guest.engine().report(), "rip: translate ")) << guest.engine().report();
}

}  // namespace
}  // namespace eidolon::engine
