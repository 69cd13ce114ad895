// The HPET, set up as Linux does, and by less friendly guests.
#include "device/chipset/hpet.h"

#include "chipset/fixture.h"

namespace eidolon::device {
namespace {

class HpetTest : public DeviceTest {
 protected:
  void put(uint64_t offset, uint64_t value, unsigned size = 4) { hpet.io_write(offset, size, value); }
  uint64_t get(uint64_t offset, unsigned size = 4) { return hpet.io_read(offset, size); }
  static constexpr uint64_t kPin20 = 20u << 9;

  RecordingLine pit_line, rtc_line, irq0, irq8;
  std::array<RecordingLine, 4> pins;
  GatedLine pit_gate{pit_line}, rtc_gate{rtc_line};
  Hpet hpet{timers,
            {.legacy = {&irq0, &irq8},
             .gates = {&pit_gate, &rtc_gate},
             .pins = {&pins[0], &pins[1], &pins[2], &pins[3]}}};
};

TEST_F(HpetTest, IdentifiesItself) {
  EXPECT_EQ(get(0x00), 0x8086a201u);
  EXPECT_EQ(get(0x04), 10'000'000u) << "femtoseconds";
  EXPECT_EQ(get(0x100), 0x30u) << "periodic and 64-bit capable";
  EXPECT_EQ(get(0x104), 0x00f00000u) << "pins 20 to 23";
}

TEST_F(HpetTest, CounterRunsWhileItIsEnabled) {
  advance(1000);
  EXPECT_EQ(get(0xf0), 0u);
  put(0xf0, 0xfffffffe);
  put(0xf4, 1);
  put(0x10, 1);
  advance(50);
  EXPECT_EQ(get(0xf0, 8), 0x2'00000003u);
  EXPECT_EQ(get(0xf4), 2u);
  put(0x10, 0);
  advance(1000);
  EXPECT_EQ(get(0xf0, 8), 0x2'00000003u);
}

TEST_F(HpetTest, OneShotFiresAtItsMatch) {
  put(0x10, 1);
  put(0x100, kPin20 | 4);
  put(0x108, 1000, 8);
  advance(9'999);
  EXPECT_EQ(pins[0].rises, 0u);
  advance(1);
  EXPECT_EQ(pins[0].rises, 1u);
  advance(1'000'000);
  EXPECT_EQ(pins[0].rises, 1u);
}

TEST_F(HpetTest, A64BitMatchCanBeWrittenInHalves) {
  EXPECT_EQ(get(0x108, 8), ~uint64_t{0});
  put(0x108, 0x55667788);
  put(0x10c, 0x11223344);
  EXPECT_EQ(get(0x108, 8), 0x1122334455667788u);
}

TEST_F(HpetTest, APassedMatchDoesNotFire) {
  put(0x10, 1);
  advance(20'000);
  put(0x100, kPin20 | 4);
  put(0x108, 1000, 8);
  advance(1'000'000);
  EXPECT_EQ(pins[0].rises, 0u);
}

TEST_F(HpetTest, A32BitTimerWrapsRound) {
  put(0x10, 1);
  advance(20'000);
  put(0x100, kPin20 | 4 | 1u << 8);
  put(0x108, 1000);
  EXPECT_EQ(timers.next_deadline(), ((int64_t{1} << 32) + 1000) * 10);
  advance(((int64_t{1} << 32) + 1000) * 10 - 20'000);
  EXPECT_EQ(pins[0].rises, 1u);
  EXPECT_EQ(timers.next_deadline(), ((int64_t{2} << 32) + 1000) * 10);
}

TEST_F(HpetTest, PeriodicLegacyReplacementAsLinuxSetsItUp) {
  pit_gate.set(true);
  put(0x10, 3);
  EXPECT_FALSE(pit_line.level()) << "the 8254 is cut off";
  put(0x100, 4 | 8 | 0x40 | 0x100);
  put(0x108, 100'000);
  put(0x108, 100'000);  // now only the period
  EXPECT_EQ(get(0x100) & 0x40, 0u);
  advance(10'000'000, 250'000);
  EXPECT_EQ(irq0.rises, 10u);
  EXPECT_EQ(get(0x108), 1'100'000u);
  put(0x10, 1);
  EXPECT_TRUE(pit_line.level()) << "and connected again";
}

TEST_F(HpetTest, LevelInterruptsStayUntilTheirStatusIsCleared) {
  put(0x10, 1);
  put(0x100, kPin20 | 4 | 2);
  put(0x108, 100, 8);
  advance(1000);
  EXPECT_TRUE(pins[0].level());
  EXPECT_EQ(get(0x20), 1u);
  put(0x20, 0);
  EXPECT_TRUE(pins[0].level());
  put(0x20, 1);
  EXPECT_FALSE(pins[0].level());
  EXPECT_EQ(get(0x20), 0u);
}

TEST_F(HpetTest, ARouteThatDoesNotExistInterruptsNobody) {
  put(0x10, 1);
  put(0x100, 5u << 9 | 4);
  put(0x108, 100, 8);
  advance(10'000);
  EXPECT_EQ(pins[0].rises + irq0.rises + irq8.rises, 0u);
}

TEST_F(HpetTest, ADisabledInterruptArmsNothing) {
  put(0x10, 1);
  put(0x108, 1000, 8);
  EXPECT_EQ(timers.next_deadline(), -1);
  put(0x100, kPin20 | 4);
  EXPECT_EQ(timers.next_deadline(), 10'000);
  put(0x10, 0);
  EXPECT_EQ(timers.next_deadline(), -1);
}

TEST_F(HpetTest, AHostilePeriodDoesNotStormTheHost) {
  put(0x10, 1);
  put(0x100, kPin20 | 4 | 8 | 0x40);
  put(0x108, 1, 8);
  clock.advance(1'000'000'000);
  EXPECT_LE(timers.run_due(), 2u);
  EXPECT_GE(timers.next_deadline(), clock.now() + Hpet::kShortestPeriod);
}

TEST_F(HpetTest, SnapshotKeepsCounterAndComparators) {
  put(0x10, 1);
  put(0x100, kPin20 | 4);
  put(0x108, 1000, 8);
  advance(4'000);
  StateWriter saved;
  hpet.save(saved);
  RecordingLine line;
  Hpet other(timers, {.legacy = {}, .gates = {}, .pins = {&line, nullptr, nullptr, nullptr}});
  StateReader reader(saved.bytes());
  other.load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(other.io_read(0xf0, 8), 400u);
  advance(6'000);
  EXPECT_EQ(line.rises, 1u);
}

/// Interrupts come no more often than every kShortestPeriod: one that waits has passed by the counter.
TEST_F(HpetTest, AMatchThatWasPutOffIsStillDueAfterALoad) {
  put(0x10, 1);
  put(0x100, kPin20 | 4 | 8 | 0x40);
  put(0x108, 1000, 8);
  put(0x108, 1000, 8);
  advance(10'000);
  ASSERT_EQ(pins[0].rises, 1u);
  advance(25'000);
  StateWriter writer;
  hpet.save(writer);
  StateReader reader(writer.bytes());
  hpet.load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(pins[0].rises, 1u);
  advance(25'000);
  EXPECT_EQ(pins[0].rises, 2u);
}

}  // namespace
}  // namespace eidolon::device
