// The RTC: the calendar, setting it, and its three interrupts.
#include "device/chipset/rtc.h"

#include "chipset/fixture.h"
#include "device/chipset/calendar.h"

namespace eidolon::device {
namespace {

constexpr Nanoseconds kSecond = 1'000'000'000;
/// 2024-02-28 23:59:58 UTC, a Wednesday before a leap day.
constexpr Nanoseconds kStart = 1'709'164'798 * kSecond;

class RtcTest : public DeviceTest {
 protected:
  uint8_t get(uint8_t index) {
    rtc.ports().io_write(0, 1, index);
    return static_cast<uint8_t>(rtc.ports().io_read(1, 1));
  }
  void put(uint8_t index, uint8_t value) {
    rtc.ports().io_write(0, 1, index);
    rtc.ports().io_write(1, 1, value);
  }

  Rtc rtc{timers, irq, kStart, {.below_4g = 512u << 20, .above_4g = uint64_t{3} << 30}};
};

TEST_F(RtcTest, ShowsTheTimeInBcd) {
  EXPECT_EQ(get(0x00), 0x58);
  EXPECT_EQ(get(0x02), 0x59);
  EXPECT_EQ(get(0x04), 0x23);
  EXPECT_EQ(get(0x06), 4) << "Wednesday";
  EXPECT_EQ(get(0x07), 0x28);
  EXPECT_EQ(get(0x08), 0x02);
  EXPECT_EQ(get(0x09), 0x24);
  EXPECT_EQ(get(0x32), 0x20);
  EXPECT_EQ(get(0x0d), 0x80);
  EXPECT_EQ(get(0x0b), 0x02);
}

TEST_F(RtcTest, KnowsLeapDays) {
  advance(2 * kSecond);
  EXPECT_EQ(get(0x07), 0x29);
  EXPECT_EQ(get(0x00), 0x00);
  advance(86'400 * kSecond);
  EXPECT_EQ(get(0x07), 0x01);
  EXPECT_EQ(get(0x08), 0x03);
}

TEST_F(RtcTest, BinaryAndTwelveHourFormats) {
  put(0x0b, 0x04);
  EXPECT_EQ(get(0x04), 0x80 | 11) << "11 p.m.";
  EXPECT_EQ(get(0x02), 59);
  put(0x0b, 0x06);
  EXPECT_EQ(get(0x04), 23);
}

TEST_F(RtcTest, TwelveOClockIsTwelve) {
  advance(2 * kSecond);
  put(0x0b, 0x00);
  EXPECT_EQ(get(0x04), 0x12) << "midnight";
  advance(12 * 3600 * kSecond);
  EXPECT_EQ(get(0x04), 0x92) << "noon";
}

TEST_F(RtcTest, SetStopsTheTimeUntilItIsCleared) {
  put(0x0b, 0x82);
  put(0x00, 0x10);
  put(0x02, 0x20);
  put(0x04, 0x06);
  put(0x07, 0x31);
  put(0x08, 0x12);
  put(0x09, 0x99);
  put(0x32, 0x19);
  advance(5 * kSecond);
  EXPECT_EQ(get(0x00), 0x10);
  put(0x0b, 0x02);
  advance(kSecond);
  EXPECT_EQ(get(0x00), 0x11);
  EXPECT_EQ(get(0x09), 0x99);
  EXPECT_EQ(get(0x06), 6) << "1999-12-31 was a Friday";
  advance(18 * 3600 * kSecond);
  EXPECT_EQ(get(0x09), 0x00);
  EXPECT_EQ(get(0x32), 0x20);
}

TEST_F(RtcTest, AWriteWithoutSetTakesEffect) {
  put(0x04, 0x05);
  EXPECT_EQ(get(0x04), 0x05);
  EXPECT_EQ(get(0x02), 0x59);
}

TEST_F(RtcTest, UpdateInProgressPrecedesEachSecond) {
  EXPECT_EQ(get(0x0a) & 0x80, 0);
  advance(kSecond - 1'000'000);
  EXPECT_EQ(get(0x0a) & 0x80, 0x80);
  advance(1'000'000);
  EXPECT_EQ(get(0x0a) & 0x80, 0);
}

TEST_F(RtcTest, PeriodicInterruptWaitsForRegisterC) {
  put(0x0a, 0x26);  // 1024 Hz
  put(0x0b, 0x42);
  advance(2 * kSecond, 100'000);
  EXPECT_EQ(irq.rises, 1u) << "asserted until register C is read";
  EXPECT_EQ(timers.next_deadline(), -1);
  EXPECT_EQ(get(0x0c) & 0xc0, 0xc0);
  EXPECT_FALSE(irq.level());
  EXPECT_EQ(get(0x0c), 0x00);
  advance(976'563);
  EXPECT_TRUE(irq.level());
}

TEST_F(RtcTest, UpdateInterruptComesEachSecond) {
  put(0x0b, 0x12);
  advance(kSecond - 1);
  EXPECT_FALSE(irq.level());
  advance(1);
  EXPECT_TRUE(irq.level());
  EXPECT_EQ(get(0x0c) & 0x90, 0x90);
}

TEST_F(RtcTest, AlarmMatchesTheTimeOfDay) {
  put(0x05, 0x00);
  put(0x03, 0x00);
  put(0x01, 0x05);
  put(0x0b, 0x22);
  advance(7 * kSecond - 1);
  EXPECT_FALSE(irq.level());
  advance(1);
  EXPECT_TRUE(irq.level());
  EXPECT_EQ(get(0x0c) & 0xa0, 0xa0);
  advance(86'399 * kSecond);
  EXPECT_FALSE(irq.level());
  advance(kSecond);
  EXPECT_TRUE(irq.level());
}

TEST_F(RtcTest, AlarmBytesOfC0MatchAnything) {
  put(0x05, 0xff);
  put(0x03, 0xc0);
  put(0x01, 0x30);
  put(0x0b, 0x22);
  advance(32 * kSecond);
  EXPECT_TRUE(irq.level());
  get(0x0c);
  advance(60 * kSecond);
  EXPECT_TRUE(irq.level());
}

TEST_F(RtcTest, AnImpossibleAlarmNeverComes) {
  put(0x01, 0x99);
  put(0x0b, 0x22);
  EXPECT_EQ(timers.next_deadline(), -1);
}

TEST_F(RtcTest, FlagsAreCollectedWithoutInterrupts) {
  advance(kSecond);
  EXPECT_EQ(get(0x0c), 0x50) << "update and periodic flags, no request";
  EXPECT_EQ(irq.rises, 0u);
}

TEST_F(RtcTest, MemoryHoldsSizesAndWhatIsWritten) {
  EXPECT_EQ(get(0x15) | get(0x16) << 8, 640);
  EXPECT_EQ(get(0x17) | get(0x18) << 8, 0xffff);
  EXPECT_EQ(get(0x34) | get(0x35) << 8, (512 - 16) * 16);
  EXPECT_EQ(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 3 * 1024 * 16);
  put(0x0f, 0x0a);
  EXPECT_EQ(get(0x0f), 0x0a);
  rtc.reset();
  EXPECT_EQ(get(0x0f), 0x0a) << "the battery keeps it";
}

TEST_F(RtcTest, NmiMaskIsBitSevenOfTheIndex) {
  rtc.ports().io_write(0, 1, 0x8f);
  EXPECT_TRUE(rtc.nmi_masked());
  rtc.ports().io_write(0, 1, 0x0f);
  EXPECT_FALSE(rtc.nmi_masked());
}

TEST_F(RtcTest, SnapshotKeepsTheTimeAndTheAlarm) {
  put(0x05, 0x00);
  put(0x03, 0x00);
  put(0x01, 0x05);
  put(0x0b, 0x22);
  StateWriter saved;
  rtc.save(saved);
  RecordingLine line;
  Rtc other(timers, line, 0, {});
  StateReader reader(saved.bytes());
  other.load(reader);
  ASSERT_FALSE(reader.failed());
  advance(7 * kSecond);
  EXPECT_TRUE(line.level());
  other.ports().io_write(0, 1, 0x00);
  EXPECT_EQ(other.ports().io_read(1, 1), 0x05u);
}

TEST(Calendar, RoundTripsEveryDayOfFourCenturies) {
  for (int64_t day = 0; day < 146'097; ++day) {
    const int64_t seconds = day * 86'400 + day % 86'400;
    ASSERT_EQ(from_calendar(to_calendar(seconds)), seconds);
  }
}

}  // namespace
}  // namespace eidolon::device
