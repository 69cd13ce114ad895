// The 8254: counting, outputs, read-back, and interrupts.
#include "device/chipset/pit.h"

#include "chipset/fixture.h"

namespace eidolon::device {
namespace {

/// Nanoseconds after which `ticks` have certainly passed.
constexpr Nanoseconds ticks(int64_t count) { return (count * 1'000'000'000 + Pit::kHz - 1) / Pit::kHz; }

class PitTest : public DeviceTest {
 protected:
  void control(uint8_t value) { pit.ports().io_write(3, 1, value); }
  void count(unsigned channel, uint16_t value) {
    pit.ports().io_write(channel, 1, value & 0xff);
    pit.ports().io_write(channel, 1, value >> 8);
  }
  uint16_t read(unsigned channel) {
    const uint64_t low = pit.ports().io_read(channel, 1);
    return static_cast<uint16_t>(low | pit.ports().io_read(channel, 1) << 8);
  }
  uint8_t status(unsigned channel) {
    control(static_cast<uint8_t>(0xe0 | 2 << channel));
    return static_cast<uint8_t>(pit.ports().io_read(channel, 1));
  }
  bool output(unsigned channel) { return (status(channel) & 0x80) != 0; }
  uint8_t speaker() { return static_cast<uint8_t>(pit.speaker_port().io_read(0, 1)); }
  void gate(bool open) { pit.speaker_port().io_write(0, 1, open ? 1 : 0); }

  Pit pit{timers, irq};
};

TEST_F(PitTest, RateGeneratorInterruptsEveryPeriod) {
  control(0x34);
  count(0, 11932);  // 100 Hz, as Linux sets it
  advance(ticks(100 * 11932), 10'000);
  EXPECT_EQ(irq.rises, 99u) << "the count is loaded by the tick after the write";
  advance(ticks(2));
  EXPECT_EQ(irq.rises, 100u);
}

TEST_F(PitTest, SquareWaveInterruptsEveryPeriodAndIsHighHalfOfIt) {
  control(0x36);
  count(0, 1000);
  advance(ticks(1));
  EXPECT_TRUE(output(0));
  advance(ticks(499));
  EXPECT_TRUE(output(0));
  advance(ticks(2));
  EXPECT_FALSE(output(0));
  advance(ticks(500));
  EXPECT_EQ(irq.rises, 1u);
}

TEST_F(PitTest, TerminalCountInterruptsOnce) {
  control(0x30);
  count(0, 1000);
  EXPECT_FALSE(output(0));
  advance(ticks(1000));
  EXPECT_EQ(irq.rises, 0u);
  advance(ticks(2));
  EXPECT_TRUE(output(0));
  EXPECT_EQ(irq.rises, 1u);
  advance(ticks(200'000));
  EXPECT_EQ(irq.rises, 1u);
  EXPECT_EQ(timers.next_deadline(), -1) << "nothing is due, so nothing is armed";
}

TEST_F(PitTest, SoftwareStrobeInterruptsOnce) {
  control(0x38);
  count(0, 500);
  EXPECT_TRUE(output(0));
  advance(ticks(503));
  EXPECT_EQ(irq.rises, 1u);
  EXPECT_TRUE(output(0));
}

TEST_F(PitTest, OneShotModesOfChannelZeroNeverStart) {
  control(0x32);
  count(0, 100);
  control(0x3a);
  count(0, 100);
  advance(ticks(1000));
  EXPECT_EQ(irq.rises, 0u) << "its gate is tied high";
}

TEST_F(PitTest, CountsDownAndLatches) {
  control(0x34);
  count(0, 0);  // 65536
  advance(ticks(101));
  control(0x00);
  advance(ticks(50));
  EXPECT_EQ(read(0), 65536 - 100);
  EXPECT_EQ(read(0), 65536 - 150);
}

TEST_F(PitTest, CountsInBcd) {
  control(0x31);
  count(0, 0x1000);
  advance(ticks(2));
  EXPECT_EQ(read(0), 0x0999);
}

TEST_F(PitTest, SquareWaveCountsByTwo) {
  control(0x36);
  count(0, 1000);
  advance(ticks(101));
  EXPECT_EQ(read(0), 800);
}

TEST_F(PitTest, SingleByteAccess) {
  control(0x14);  // low byte only
  pit.ports().io_write(0, 1, 200);
  advance(ticks(51));
  EXPECT_EQ(pit.ports().io_read(0, 1), 150u);
  control(0x24);  // high byte only
  pit.ports().io_write(0, 1, 2);
  advance(ticks(2));
  EXPECT_EQ(pit.ports().io_read(0, 1), 1u);
}

TEST_F(PitTest, ReadBackTellsModeAndNullCount) {
  control(0xb6);
  EXPECT_EQ(status(2) & 0x7f, 0x76) << "null count, both bytes, mode 3";
  gate(true);
  count(2, 1000);
  EXPECT_EQ(status(2) & 0x7f, 0x36);
}

TEST_F(PitTest, StatusIsReadBeforeALatchedCount) {
  control(0x34);
  count(0, 0x4321);
  advance(ticks(2));
  control(0xc2);
  EXPECT_EQ(pit.ports().io_read(0, 1) & 0x3f, 0x34u);
  advance(ticks(10));
  EXPECT_EQ(read(0), 0x4320);
}

TEST_F(PitTest, ANewPeriodBeginsWhenTheOldOneEnds) {
  control(0x34);
  count(0, 1000);
  advance(ticks(500));
  count(0, 2000);
  advance(ticks(502));
  EXPECT_EQ(irq.rises, 1u);
  advance(ticks(1000));
  EXPECT_EQ(irq.rises, 1u);
  advance(ticks(1001));
  EXPECT_EQ(irq.rises, 2u);
}

TEST_F(PitTest, CalibrationLoopOfLinuxSeesChannelTwoEnd) {
  // pit_calibrate_tsc: gate open, speaker off, mode 0, 50 ms, then wait for bit 5 of port 0x61.
  pit.speaker_port().io_write(0, 1, static_cast<uint8_t>((speaker() & ~2) | 1));
  control(0xb0);
  count(2, 59659);
  EXPECT_EQ(speaker() & 0x20, 0);
  advance(49'000'000);
  EXPECT_EQ(speaker() & 0x20, 0);
  advance(1'100'000);
  EXPECT_EQ(speaker() & 0x20, 0x20);
}

TEST_F(PitTest, TheGateHoldsTheCount) {
  gate(true);
  control(0xb0);
  count(2, 1000);
  advance(ticks(101));
  gate(false);
  const uint16_t held = read(2);
  advance(ticks(500));
  EXPECT_EQ(read(2), held);
  gate(true);
  advance(ticks(100));
  EXPECT_EQ(read(2), held - 100);
}

TEST_F(PitTest, TheGateTriggersOneShots) {
  control(0xb2);  // mode 1
  count(2, 100);
  EXPECT_TRUE(output(2));
  gate(true);
  advance(ticks(50));
  EXPECT_FALSE(output(2));
  advance(ticks(60));
  EXPECT_TRUE(output(2));
  control(0xba);  // mode 5
  count(2, 100);
  gate(false);
  gate(true);
  advance(ticks(50));
  EXPECT_TRUE(output(2));
}

TEST_F(PitTest, RefreshBitToggles) {
  const uint8_t before = speaker() & 0x10;
  advance(15'085);
  EXPECT_NE(speaker() & 0x10, before);
  advance(15'085);
  EXPECT_EQ(speaker() & 0x10, before);
}

TEST_F(PitTest, AHostilePeriodDoesNotStormTheHost) {
  control(0x14);
  pit.ports().io_write(0, 1, 1);
  clock.advance(1'000'000'000);
  EXPECT_LE(timers.run_due(), 2u);
  EXPECT_GE(timers.next_deadline(), clock.now() + Pit::kShortestPeriod);
}

TEST_F(PitTest, SnapshotGoesOnCounting) {
  control(0x34);
  count(0, 1000);
  advance(ticks(301));
  StateWriter saved;
  pit.save(saved);
  RecordingLine line;
  Pit other(timers, line);
  StateReader reader(saved.bytes());
  other.load(reader);
  ASSERT_FALSE(reader.failed());
  advance(ticks(699));
  EXPECT_EQ(line.rises, 0u);
  advance(ticks(2));
  EXPECT_EQ(line.rises, 1u);
}

}  // namespace
}  // namespace eidolon::device
