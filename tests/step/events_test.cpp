// What happens between instructions: traps, shadows, interrupts and halts.
#include <thread>

#include "engine/events.h"
#include "step/fixture.h"

namespace eidolon::engine {
namespace {

/// Real mode with every vector at 0:0x4000 + vector * 16.
class StepEvents : public StepTest {
 protected:
  StepEvents() {
    for (unsigned vector = 0; vector < 256; ++vector) put<uint32_t>(vector * 4, 0x4000 + vector * 16);
  }
  static uint64_t handler(unsigned vector) { return 0x4000 + vector * 16; }
};

TEST_F(StepEvents, AFaultPushesItsOwnAddress) {
  code({0x0f, 0x0b});  // ud2
  EXPECT_TRUE(engine.step());
  EXPECT_EQ(state.rip, handler(x86::kInvalidOpcode));
  EXPECT_EQ(get<uint16_t>(0x8000 - 6), 0x1000);
}

TEST_F(StepEvents, TfTrapsAfterTheInstruction) {
  state.rflags |= x86::kFlagTf;
  code({0x90});
  EXPECT_TRUE(engine.step());
  EXPECT_EQ(state.rip, handler(x86::kDebug));
  EXPECT_EQ(get<uint16_t>(0x8000 - 6), 0x1001);
  EXPECT_EQ(state.dr6 & (1u << 14), 1u << 14);
}

TEST_F(StepEvents, StiHoldsInterruptsBackForOneInstruction) {
  code({0xfb, 0x90, 0x90});  // sti; nop; nop
  EXPECT_TRUE(engine.step());
  EXPECT_EQ(state.interrupt_shadow, state.rip);
  EXPECT_TRUE(engine.step());
  EXPECT_EQ(state.interrupt_shadow, cpu::State::kNoShadow);
}

TEST_F(StepEvents, AnNmiThatComesWhileItsHandlerSleepsIsKept) {
  state.nmi_blocked = true;
  state.activity = cpu::Activity::kHalted;
  cpu->events.raise(cpu::kEventNmi);
  std::thread other([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cpu->events.raise(cpu::kEventStop);
  });
  EXPECT_EQ(service_events(*cpu), Stop::kRequested);
  other.join();
  EXPECT_EQ(state.activity, cpu::Activity::kHalted);
  EXPECT_NE(cpu->events.pending() & cpu::kEventNmi, 0u);
}

TEST_F(StepEvents, AnNmiWakesAHaltedProcessorOnce) {
  code({0xf4});  // hlt
  EXPECT_TRUE(engine.step());
  EXPECT_EQ(state.activity, cpu::Activity::kHalted);
  cpu->events.raise(cpu::kEventNmi);
  EXPECT_FALSE(service_events(*cpu));
  EXPECT_EQ(state.activity, cpu::Activity::kRunning);
  EXPECT_EQ(state.rip, handler(x86::kNmi));
  EXPECT_TRUE(state.nmi_blocked);
}

TEST_F(StepEvents, AnInterruptThatCannotBeTakenIsNotLostInAHalt) {
  state.activity = cpu::Activity::kHalted;  // with IF clear
  cpu->events.raise(cpu::kEventInterrupt);
  std::thread stopper([this] { cpu->events.raise(cpu::kEventStop); });
  EXPECT_EQ(engine.run(), Stop::kRequested);
  stopper.join();
  EXPECT_NE(cpu->events.pending() & cpu::kEventInterrupt, 0u);
}

TEST_F(StepEvents, ATripleFaultEndsTheRun) {
  state.idtr.limit = 0;
  code({0x0f, 0x0b});
  EXPECT_EQ(engine.run(), Stop::kShutdown);
}

}  // namespace
}  // namespace eidolon::engine
