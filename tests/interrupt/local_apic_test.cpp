// The local APIC from the processor's side, from the bus, and through its registers.
#include "interrupt/local_apic.h"

#include <gtest/gtest.h>

#include <barrier>
#include <thread>

#include "x86/msr.h"

namespace eidolon::interrupt {
namespace {

constexpr uint32_t kMask = 1u << 16;

class LocalApicTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bus.connect(first);
    bus.connect(second);
    pic.set_output([this](bool level) { first.set_lint(0, level); });
    first.attach(first_events, tsc());
    second.attach(second_events, tsc());
    put(0xf0, 0x1ff);
    second.io_write(0xf0, 4, 0x1ff);
  }
  /// A guest TSC of 2 GHz on the test's clock.
  TscReference tsc() {
    return {.now = [this] { return static_cast<uint64_t>(clock.now()) * 2; }, .hz = 2'000'000'000};
  }
  void put(uint64_t offset, uint32_t value) { first.io_write(offset, 4, value); }
  uint32_t get(uint64_t offset) { return static_cast<uint32_t>(first.io_read(offset, 4)); }
  void fixed(uint8_t vector) { bus.deliver({.destination = 0, .vector = vector}); }
  void advance(Nanoseconds by) {
    clock.advance(by);
    timers.run_due();
  }
  void enter_x2() {
    ASSERT_TRUE(first.write_msr(x86::kMsrApicBase, LocalApic::kAddress | 0xd00).has_value());
  }

  ManualClock clock;
  TimerQueue timers{clock};
  cpu::EventFlags first_events;
  cpu::EventFlags second_events;
  Pic pic;
  ApicBus bus;
  LocalApic first{bus, timers, 0, true, &pic};
  LocalApic second{bus, timers, 1, false};
};

TEST_F(LocalApicTest, IdentifiesItself) {
  EXPECT_EQ(get(0x30), 0x00050014u);
  EXPECT_EQ(second.io_read(0x20, 4), 0x01000000u);
  EXPECT_EQ(get(0xe0), 0xffffffffu);
  EXPECT_EQ(first.read_msr(x86::kMsrApicBase), 0xfee00900u);
  EXPECT_EQ(second.read_msr(x86::kMsrApicBase), 0xfee00800u);
}

TEST_F(LocalApicTest, HigherClassesComeFirstAndServiceBlocksTheirClass) {
  fixed(0x41);
  fixed(0x52);
  EXPECT_EQ(first.acknowledge(), 0x52);
  EXPECT_EQ(get(0xa0), 0x50u) << "PPR";
  fixed(0x55);
  EXPECT_FALSE(first.interrupt_pending()) << "the same class waits";
  fixed(0x61);
  EXPECT_EQ(first.acknowledge(), 0x61);
  put(0xb0, 0);
  EXPECT_FALSE(first.interrupt_pending());
  first_events.take(~0u);
  put(0xb0, 0);
  EXPECT_EQ(first_events.take(~0u), unsigned{cpu::kEventInterrupt}) << "the EOI makes the next one due";
  EXPECT_EQ(first.acknowledge(), 0x55);
  put(0xb0, 0);
  EXPECT_EQ(first.acknowledge(), 0x41);
}

TEST_F(LocalApicTest, TaskPriorityHoldsBackAndCr8IsItsUpperHalf) {
  put(0x80, 0x45);
  EXPECT_EQ(first.task_priority(), 4);
  fixed(0x4f);
  EXPECT_FALSE(first.interrupt_pending());
  EXPECT_EQ(first.acknowledge(), std::nullopt);
  first_events.take(~0u);
  first.set_task_priority(3);
  EXPECT_EQ(get(0x80), 0x30u);
  EXPECT_EQ(first_events.take(~0u), unsigned{cpu::kEventInterrupt});
  EXPECT_EQ(first.acknowledge(), 0x4f);
}

TEST_F(LocalApicTest, TheProcessorMovesThePriorityByItself) {
  cpu::SharedPriority& shared = first_events.priority;
  put(0x80, 0x45);
  EXPECT_EQ(shared.task, 0x45);
  EXPECT_EQ(shared.waiting, 0);
  fixed(0x4f);
  fixed(0x31);
  EXPECT_EQ(shared.waiting, 0x40) << "the highest";
  EXPECT_EQ(first_events.take(~0u), 0u);
  shared.task = 0x60;
  EXPECT_EQ(get(0x80), 0x60u);
  EXPECT_EQ(first.task_priority(), 6);
  fixed(0x55);
  EXPECT_EQ(first_events.take(~0u), 0u);
  shared.task = 0x40;
  EXPECT_EQ(shared.waiting, 0x50);
  first.set_task_priority(4);
  EXPECT_EQ(first_events.take(~0u), unsigned{cpu::kEventInterrupt});
  EXPECT_EQ(first.acknowledge(), 0x55);
  EXPECT_EQ(shared.waiting, 0x40);
  first.init();
  EXPECT_EQ(shared.task, 0);
  EXPECT_EQ(shared.waiting, 0);
}

// One makes a vector pending, the other lowers the priority as generated code does: one of them must see it.
TEST_F(LocalApicTest, APriorityLoweredInTimeLosesNoInterrupt) {
  cpu::SharedPriority& shared = first_events.priority;
  for (unsigned turn = 0; turn < 2000; ++turn) {
    first.init();
    put(0xf0, 0x1ff);
    shared.task = 0xf0;
    first_events.take(~0u);
    std::barrier start(2);
    std::thread other([&] {
      start.arrive_and_wait();
      fixed(0x51);
    });
    start.arrive_and_wait();
    shared.task.exchange(0x20);
    if (shared.waiting > 0x20) first.set_task_priority(2);
    other.join();
    ASSERT_EQ(first_events.take(~0u), unsigned{cpu::kEventInterrupt});
    ASSERT_EQ(first.acknowledge(), 0x51);
  }
}

TEST_F(LocalApicTest, RequestAndServiceAreVisible) {
  fixed(0x41);
  EXPECT_EQ(get(0x220), 2u);
  EXPECT_TRUE(first.acknowledge().has_value());
  EXPECT_EQ(get(0x220), 0u);
  EXPECT_EQ(get(0x120), 2u);
}

TEST_F(LocalApicTest, SoftwareDisabledItTakesNoFixedInterruptAndMasksItsEntries) {
  put(0x320, 0x30);
  put(0xf0, 0xff);
  EXPECT_FALSE(bus.deliver({.destination = 0, .vector = 0x40}));
  EXPECT_NE(get(0x320) & kMask, 0u);
  put(0x320, 0x30);
  EXPECT_NE(get(0x320) & kMask, 0u) << "the mask cannot be cleared while it is disabled";
}

TEST_F(LocalApicTest, IpisReachPhysicalLogicalAndShorthandDestinations) {
  put(0x310, 1u << 24);
  put(0x300, 0x41);
  EXPECT_EQ(second.acknowledge(), 0x41);
  EXPECT_FALSE(first.interrupt_pending());
  second.io_write(0xd0, 4, 0x02000000);
  put(0x310, 0x02000000);
  put(0x300, 0x52 | 1u << 11);
  EXPECT_EQ(second.acknowledge(), 0x52);
  put(0x300, 0x60 | 1u << 18);
  EXPECT_EQ(first.acknowledge(), 0x60);
  put(0x300, 0x71 | 3u << 18);
  EXPECT_EQ(second.acknowledge(), 0x71);
  EXPECT_FALSE(first.interrupt_pending());
  put(0x300, 0x82 | 2u << 18);
  EXPECT_EQ(first.acknowledge(), 0x82);
  EXPECT_EQ(second.acknowledge(), 0x82);
}

TEST_F(LocalApicTest, ClusterModeMatchesClusterAndMember) {
  second.io_write(0xe0, 4, 0x0fffffff);
  second.io_write(0xd0, 4, 0x21000000);
  const ApicMessage hit{.destination = 0x23, .logical = true, .vector = 0x40};
  const ApicMessage other_cluster{.destination = 0x31, .logical = true, .vector = 0x40};
  const ApicMessage other_member{.destination = 0x22, .logical = true, .vector = 0x40};
  EXPECT_TRUE(second.addressed_by(hit));
  EXPECT_FALSE(second.addressed_by(other_cluster));
  EXPECT_FALSE(second.addressed_by(other_member));
}

TEST_F(LocalApicTest, LowestPriorityGoesToTheLeastBusyProcessor) {
  put(0x80, 0x20);
  bus.deliver({.destination = kBroadcast, .mode = DeliveryMode::kLowestPriority, .vector = 0x41});
  EXPECT_FALSE(first.interrupt_pending());
  EXPECT_EQ(second.acknowledge(), 0x41);
}

TEST_F(LocalApicTest, InitSipiAndNmiRaiseEvents) {
  put(0x310, 1u << 24);
  put(0x300, 0x4500);
  EXPECT_EQ(second_events.take(~0u), unsigned{cpu::kEventInit});
  put(0x300, 0x8500);  // INIT level de-assert
  EXPECT_EQ(second_events.take(~0u), 0u);
  put(0x300, 0x4699);
  EXPECT_EQ(second_events.take(~0u), unsigned{cpu::kEventSipi});
  EXPECT_EQ(second_events.sipi_vector, 0x99);
  put(0x300, 0x4400);
  EXPECT_EQ(second_events.take(~0u), unsigned{cpu::kEventNmi});
}

TEST_F(LocalApicTest, IllegalVectorsAreReportedOnce) {
  put(0x370, 0xfe);
  put(0x300, 0x05 | 1u << 18);
  EXPECT_EQ(first.acknowledge(), 0xfe);
  put(0xb0, 0);
  put(0x280, 0);
  EXPECT_EQ(get(0x280), 1u << 5);
  put(0x280, 0);
  EXPECT_EQ(get(0x280), 0u);
  put(0x370, 0x02);  // an error entry that is itself illegal must not loop
  put(0x300, 0x05 | 1u << 18);
  put(0x280, 0);
  EXPECT_EQ(get(0x280), 1u << 5 | 1u << 6);
}

TEST_F(LocalApicTest, VirtualWirePassesThePicOn) {
  pic.master_ports().io_write(0, 1, 0x11);
  pic.master_ports().io_write(1, 1, 0x20);
  pic.master_ports().io_write(1, 1, 0x04);
  pic.master_ports().io_write(1, 1, 0x01);
  first_events.take(~0u);
  pic.set_irq(1, true);
  EXPECT_EQ(first_events.take(~0u), unsigned{cpu::kEventInterrupt});
  EXPECT_EQ(first.acknowledge(), 0x21);
  EXPECT_FALSE(first.interrupt_pending());
  EXPECT_EQ(get(0x110), 0u) << "ExtINT is not in service here";
  put(0x350, 0x700 | kMask);
  pic.master_ports().io_write(0, 1, 0x20);
  pic.set_irq(0, true);
  EXPECT_FALSE(first.interrupt_pending());
  first_events.take(~0u);
  put(0x350, 0x700);
  EXPECT_EQ(first_events.take(~0u), unsigned{cpu::kEventInterrupt});
  EXPECT_EQ(first.acknowledge(), 0x20);
}

TEST_F(LocalApicTest, ADisabledApicIsAWire) {
  ASSERT_TRUE(first.write_msr(x86::kMsrApicBase, LocalApic::kAddress).has_value());
  EXPECT_EQ(first.io_read(0x30, 4), 0xffffffffu);
  first.set_lint(1, true);
  EXPECT_EQ(first_events.take(cpu::kEventNmi), unsigned{cpu::kEventNmi});
  EXPECT_FALSE(bus.deliver({.destination = 0, .vector = 0x40}));
}

TEST_F(LocalApicTest, BaseTransitionsFollowTheStateDiagram) {
  const uint64_t base = LocalApic::kAddress | x86::kApicBaseBsp;
  const auto write = [&](uint64_t modes) {
    return first.write_msr(x86::kMsrApicBase, base | modes).has_value();
  };
  EXPECT_FALSE(write(0x400)) << "x2APIC without enable";
  EXPECT_FALSE(write(0x801)) << "reserved bit";
  EXPECT_FALSE(write(0x800 | uint64_t{1} << 60));
  EXPECT_TRUE(write(0xc00));
  EXPECT_FALSE(write(0x800)) << "x2APIC to xAPIC";
  EXPECT_TRUE(write(0));
  EXPECT_FALSE(write(0xc00)) << "disabled to x2APIC";
  EXPECT_TRUE(write(0x800));
}

TEST_F(LocalApicTest, X2ApicRegistersAndTheirFaults) {
  EXPECT_FALSE(first.read_msr(0x802).has_value()) << "not in x2APIC mode";
  enter_x2();
  EXPECT_EQ(first.io_read(0x30, 4), 0xffffffffu);
  EXPECT_EQ(first.read_msr(0x802), 0u);
  EXPECT_EQ(first.read_msr(0x80d), 1u);
  EXPECT_TRUE(first.write_msr(0x80f, 0x1ff).has_value());
  EXPECT_FALSE(first.write_msr(0x80f, 0x3ff).has_value());
  EXPECT_FALSE(first.write_msr(0x802, 0).has_value());
  EXPECT_FALSE(first.write_msr(0x808, 0x100).has_value());
  EXPECT_FALSE(first.read_msr(0x80b).has_value());
  EXPECT_FALSE(first.write_msr(0x80b, 1).has_value());
  EXPECT_FALSE(first.read_msr(0x80e).has_value()) << "no DFR";
  EXPECT_FALSE(first.read_msr(0x831).has_value()) << "no upper half of the ICR";
  EXPECT_FALSE(first.read_msr(0x83f).has_value());
  EXPECT_FALSE(first.write_msr(0x828, 1).has_value());
  EXPECT_TRUE(first.write_msr(0x83f, 0x77).has_value());
  EXPECT_EQ(first.acknowledge(), 0x77);
  EXPECT_TRUE(first.write_msr(0x80b, 0).has_value());
  EXPECT_TRUE(first.write_msr(0x830, uint64_t{1} << 32 | 0x44).has_value());
  EXPECT_EQ(second.acknowledge(), 0x44);
  EXPECT_EQ(first.read_msr(0x830), uint64_t{1} << 32 | 0x44);
  EXPECT_FALSE(first.read_msr(0x8ff).has_value());
}

TEST_F(LocalApicTest, OneShotTimerCountsDownAndFiresOnce) {
  put(0x320, 0x31);
  put(0x3e0, 0xb);  // divide by one: a tick is a nanosecond
  put(0x380, 1000);
  EXPECT_EQ(get(0x390), 1000u);
  advance(400);
  EXPECT_EQ(get(0x390), 600u);
  EXPECT_FALSE(first.interrupt_pending());
  advance(600);
  EXPECT_EQ(get(0x390), 0u);
  EXPECT_EQ(first.acknowledge(), 0x31);
  put(0xb0, 0);
  advance(10'000);
  EXPECT_FALSE(first.interrupt_pending());
}

TEST_F(LocalApicTest, DividerScalesTheCount) {
  put(0x320, 0x31);
  put(0x3e0, 0x3);  // by 16
  put(0x380, 100);
  advance(800);
  EXPECT_EQ(get(0x390), 50u);
  advance(799);
  EXPECT_FALSE(first.interrupt_pending());
  advance(1);
  EXPECT_TRUE(first.interrupt_pending());
}

/// Time goes on while the monitor looks at it.
class RestlessClock final : public Clock {
 public:
  [[nodiscard]] Nanoseconds now() const override { return time_ += 100; }

 private:
  mutable Nanoseconds time_ = 0;
};

TEST_F(LocalApicTest, ACountThatIsOverBeforeItIsArmedFires) {
  RestlessClock restless;
  TimerQueue queue{restless};
  cpu::EventFlags events;
  LocalApic apic(bus, queue, 2, false);
  apic.attach(events, tsc());
  apic.io_write(0xf0, 4, 0x1ff);
  apic.io_write(0x320, 4, 0x31);
  apic.io_write(0x3e0, 4, 0xb);
  apic.io_write(0x380, 4, 15);
  queue.run_due();
  EXPECT_EQ(apic.acknowledge(), 0x31);
}

TEST_F(LocalApicTest, AOneShotThatIsDueIsNotLostWhenItsVectorIsWritten) {
  put(0x320, 0x31);
  put(0x3e0, 0xb);
  put(0x380, 1000);
  clock.advance(2000);  // its thread has not come to it yet
  put(0x320, 0x41);
  timers.run_due();
  EXPECT_EQ(first.acknowledge(), 0x41);
  put(0x320, 0x42);
  timers.run_due();
  put(0xb0, 0);
  EXPECT_FALSE(first.interrupt_pending()) << "it fires once";
}

TEST_F(LocalApicTest, AOneShotThatRunsOutWhileMaskedIsOver) {
  put(0x320, kMask | 0x31);
  put(0x3e0, 0xb);
  put(0x380, 1000);
  advance(2000);
  put(0x320, 0x31);
  timers.run_due();
  EXPECT_FALSE(first.interrupt_pending());
}

TEST_F(LocalApicTest, PeriodicTimerKeepsItsPhase) {
  put(0x320, 0x20031);
  put(0x3e0, 0xb);
  put(0x380, 1'000'000);
  advance(1'000'300);  // the host is late
  EXPECT_EQ(first.acknowledge(), 0x31);
  put(0xb0, 0);
  EXPECT_EQ(timers.next_deadline(), 2'000'000);
  advance(999'700);
  EXPECT_EQ(first.acknowledge(), 0x31);
}

TEST_F(LocalApicTest, AHostilePeriodDoesNotStormTheHost) {
  put(0x320, 0x20031);
  put(0x3e0, 0xb);
  put(0x380, 1);
  clock.advance(1'000'000);
  EXPECT_LE(timers.run_due(), 2u);
  EXPECT_GE(timers.next_deadline(), clock.now() + ApicTimer::kShortestPeriod);
}

TEST_F(LocalApicTest, AMaskedTimerArmsNothingAndUnmaskingCatchesUp) {
  put(0x3e0, 0xb);
  put(0x380, 1000);
  EXPECT_EQ(timers.next_deadline(), -1);
  put(0x320, 0x31);
  EXPECT_EQ(timers.next_deadline(), 1000);
}

TEST_F(LocalApicTest, TscDeadlineFiresAtItsTimeAndReadsZeroAfter) {
  put(0x320, 0x40031);
  ASSERT_TRUE(first.write_msr(x86::kMsrTscDeadline, 10'000).has_value());
  EXPECT_EQ(first.read_msr(x86::kMsrTscDeadline), 10'000u);
  advance(4'990);
  EXPECT_FALSE(first.interrupt_pending());
  advance(11);
  EXPECT_EQ(first.acknowledge(), 0x31);
  EXPECT_EQ(first.read_msr(x86::kMsrTscDeadline), 0u);
  put(0xb0, 0);
  ASSERT_TRUE(first.write_msr(x86::kMsrTscDeadline, 5).has_value());
  EXPECT_EQ(first.acknowledge(), 0x31) << "a deadline in the past is due at once";
}

TEST_F(LocalApicTest, TscDeadlineFollowsAWriteOfTheTsc) {
  put(0x320, 0x40031);
  ASSERT_TRUE(first.write_msr(x86::kMsrTscDeadline, 10'000).has_value());
  first.tsc_changed(4'000);
  advance(2'990);
  EXPECT_FALSE(first.interrupt_pending());
  advance(11);
  EXPECT_EQ(first.acknowledge(), 0x31);
}

TEST_F(LocalApicTest, TscDeadlineIsDueAtOnceWhenTheTscIsSetBeyondIt) {
  put(0x320, 0x40031);
  ASSERT_TRUE(first.write_msr(x86::kMsrTscDeadline, 10'000).has_value());
  first.tsc_changed(20'000);
  advance(1);
  EXPECT_EQ(first.acknowledge(), 0x31);
}

TEST_F(LocalApicTest, TscDeadlineIsIgnoredInOtherModesAndDisarmedByZero) {
  ASSERT_TRUE(first.write_msr(x86::kMsrTscDeadline, 10'000).has_value());
  EXPECT_EQ(first.read_msr(x86::kMsrTscDeadline), 0u);
  put(0x320, 0x40031);
  ASSERT_TRUE(first.write_msr(x86::kMsrTscDeadline, ~uint64_t{0}).has_value());
  EXPECT_GT(timers.next_deadline(), 0);
  ASSERT_TRUE(first.write_msr(x86::kMsrTscDeadline, 0).has_value());
  EXPECT_EQ(timers.next_deadline(), -1);
}

TEST_F(LocalApicTest, InitReturnsToResetValuesButKeepsBase) {
  fixed(0x41);
  put(0x80, 0x20);
  first.init();
  EXPECT_FALSE(first.interrupt_pending());
  EXPECT_EQ(get(0xf0), 0xffu);
  EXPECT_EQ(get(0x80), 0u);
  EXPECT_EQ(first.read_msr(x86::kMsrApicBase), 0xfee00900u);
}

TEST_F(LocalApicTest, OddAccessesDoNothing) {
  first.io_write(0x81, 1, 0xff);
  first.io_write(0x80, 1, 0xff);
  first.io_write(0x84, 4, 0xff);
  EXPECT_EQ(get(0x80), 0u);
  EXPECT_EQ(first.io_read(0x34, 4), 0u);
}

TEST_F(LocalApicTest, SnapshotCarriesPendingVectorsAndTheTimer) {
  fixed(0x41);
  put(0x320, 0x31);
  put(0x3e0, 0xb);
  put(0x380, 1000);
  StateWriter saved;
  first.save(saved);
  LocalApic other(bus, timers, 0, true);
  other.attach(second_events, tsc());
  StateReader reader(saved.bytes());
  other.load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(other.acknowledge(), 0x41);
  other.io_write(0xb0, 4, 0);
  advance(1000);
  EXPECT_EQ(other.acknowledge(), 0x31);
}

TEST(TscFrequency, AgreesWithTheClock) {
  const uint64_t hz = host_tsc_hz();
  EXPECT_GT(hz, 100'000'000u);
  EXPECT_LT(hz, 20'000'000'000u);
  EXPECT_EQ(host_tsc_hz(), hz);
}

}  // namespace
}  // namespace eidolon::interrupt
