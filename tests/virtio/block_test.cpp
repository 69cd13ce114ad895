// The block device over a medium in memory.
#include "device/virtio/block.h"

#include "storage/memory_medium.h"
#include "virtio/fixture.h"

namespace eidolon::device::virtio {
namespace {

using storage::IoStatus;
using storage::MemoryMedium;

class BlockTest : public VirtioTest {
 protected:
  static constexpr uint64_t kSize = 1 << 20;
  static constexpr GuestPhysical kHeader = kData, kStatus = kData + 0x80, kBuffer = kData + 0x1000;

  void start(bool read_only = false, uint64_t without = 0, unsigned queues = 1) {
    medium.is_read_only = read_only;
    block = std::make_unique<Block>("blk", medium, "number 7", queues);
    put(*block);
    use_messages(queues);
    accept(offered() & ~kFeaturePacked & ~kFeatureEventIndex & ~without);
    driver.emplace(make_queue(0));
    driver_ok();
    ASSERT_EQ(status(), 15u);
  }
  ~BlockTest() override {
    medium.hold = false;
    block.reset();  // before the transport
  }
  /// Requests of which several are under way have a number each, for memory of their own.
  void submit(uint32_t type, uint64_t sector, uint32_t length, bool device_writes, unsigned number = 0) {
    const GuestPhysical header = kHeader + 0x100 * number;
    const auto head = static_cast<uint16_t>(3 * number);
    driver->put<uint32_t>(header, type);
    driver->put<uint64_t>(header + 8, sector);
    driver->put<uint8_t>(kStatus + number, 0xee);
    driver->descriptor(head, header, 16, SplitDriver::kNext,
                       static_cast<uint16_t>(head + (length != 0 ? 1 : 2)));
    driver->descriptor(static_cast<uint16_t>(head + 1), kBuffer + 0x1000 * number, length,
                       static_cast<uint16_t>(SplitDriver::kNext | (device_writes ? SplitDriver::kWrite : 0)),
                       static_cast<uint16_t>(head + 2));
    driver->descriptor(static_cast<uint16_t>(head + 2), kStatus + number, 1, SplitDriver::kWrite);
    driver->offer(head);
    notify(0);
  }
  /// The request's status byte.
  unsigned request(uint32_t type, uint64_t sector, uint32_t length, bool device_writes) {
    const uint16_t before = driver->used();
    submit(type, sector, length, device_writes);
    EXPECT_TRUE(wait_until([&] { return driver->used() != before; }));
    return driver->get<uint8_t>(kStatus);
  }

  /// The threads have looked at what was there when the driver came, and sleep.
  void let_threads_sleep() {
    EXPECT_TRUE(wait_until([&] {
      EXPECT_EQ(request(0, 0, 512, true), 0u);
      return medium.asked != 0;
    }));
    EXPECT_TRUE(local.acknowledge());
    finish_interrupt();
    medium.asked = 0;
    used_before = driver->used();
  }

  MemoryMedium medium{kSize};
  uint16_t used_before = 0;
  std::unique_ptr<Block> block;
  std::optional<SplitDriver> driver;
};

TEST_F(BlockTest, TellsItsCapacityAndLimits) {
  start();
  EXPECT_EQ(get_bar(kConfig, 8), kSize / 512);
  EXPECT_EQ(get_bar(kConfig + 20, 4), 512u);
  EXPECT_EQ(offered() & 1u << 5, 0u);
}

TEST_F(BlockTest, ReadsAndWrites) {
  start();
  driver->put<uint64_t>(kBuffer + 512, 0x1122334455667788);
  EXPECT_EQ(request(1, 4, 1024, false), 0u);
  uint64_t stored = 0;
  std::memcpy(&stored, &medium.bytes[5 * 512], 8);
  EXPECT_EQ(stored, 0x1122334455667788u);
  medium.bytes[9 * 512] = 0x5a;
  EXPECT_EQ(request(0, 9, 512, true), 0u);
  EXPECT_EQ(driver->get<uint8_t>(kBuffer), 0x5a);
  EXPECT_EQ(driver->used_length(1), 513u);
  EXPECT_TRUE(wait_until([&] { return local.interrupt_pending(); }));
  EXPECT_EQ(local.acknowledge(), kQueueVector);
}

TEST_F(BlockTest, WhatNeedNotWaitIsDoneWhenTheNotificationReturns) {
  start();
  let_threads_sleep();
  medium.at_once = true;
  for (uint16_t round = 0; round < 200; ++round) {
    const bool in = round % 2 == 0;
    medium.bytes[9 * 512] = static_cast<uint8_t>(round);
    driver->put<uint8_t>(kBuffer, 0x80);
    submit(in ? 0 : 1, 9, 512, in);
    ASSERT_EQ(static_cast<uint16_t>(driver->used() - used_before), round + 1);
    EXPECT_EQ(driver->get<uint8_t>(kStatus), 0);
    EXPECT_EQ(driver->used_length(static_cast<uint16_t>(used_before + round)), in ? 513u : 1u);
    EXPECT_EQ(in ? driver->get<uint8_t>(kBuffer) : medium.bytes[9 * 512], in ? round : 0x80);
    EXPECT_EQ(local.acknowledge(), kQueueVector);
    finish_interrupt();
  }
}

TEST_F(BlockTest, WhatMustWaitIsTheThreadsRequest) {
  start();
  let_threads_sleep();
  medium.hold = true;
  submit(0, 4, 512, true);
  EXPECT_EQ(medium.asked, 1u);
  EXPECT_EQ(driver->used(), used_before);
  medium.hold = false;
  EXPECT_TRUE(wait_until([&] { return driver->used() != used_before; }));
  EXPECT_EQ(driver->get<uint8_t>(kStatus), 0);
}

TEST_F(BlockTest, LongAndWriteThroughRequestsAreTheThreads) {
  start();
  let_threads_sleep();
  medium.at_once = true;
  EXPECT_EQ(request(0, 0, 0x10000, true), 0u);
  EXPECT_EQ(medium.asked, 0u);
  set_bar(kConfig + 32, 1, 0);
  EXPECT_EQ(request(1, 0, 512, false), 0u);
  EXPECT_EQ(medium.asked, 0u);
  EXPECT_EQ(medium.flushes, 1u);
  EXPECT_EQ(request(0, 0, 512, true), 0u);
  EXPECT_EQ(medium.asked, 1u) << "reading is as before";
}

TEST_F(BlockTest, NothingIsDoneAtOnceWhileAnotherRequestIsUnderWay) {
  start();
  let_threads_sleep();
  medium.hold = true;
  submit(0, 0, 512, true);
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 1; }));
  medium.at_once = true;
  submit(0, 8, 512, true, 1);
  EXPECT_EQ(medium.asked, 1u);
  medium.hold = false;
  EXPECT_TRUE(wait_until([&] { return driver->used() == static_cast<uint16_t>(used_before + 2); }));
}

TEST_F(BlockTest, WhatFailsAtOnceIsTriedAgainAndThenAnError) {
  start();
  let_threads_sleep();
  medium.at_once = true;
  medium.result = IoStatus::kFailed;
  EXPECT_EQ(request(0, 0, 512, true), 1u);
  EXPECT_EQ(medium.asked, 1u);
  EXPECT_EQ(request(0, kSize / 512, 512, true), 1u) << "beyond the end";
  EXPECT_EQ(medium.asked, 1u);
}

TEST_F(BlockTest, FlushesAndTellsItsNumber) {
  start();
  EXPECT_EQ(request(4, 0, 0, false), 0u);
  EXPECT_EQ(medium.flushes, 1u);
  EXPECT_EQ(request(8, 0, 20, true), 0u);
  EXPECT_EQ(driver->get<uint8_t>(kBuffer + 7), '7');
}

TEST_F(BlockTest, AWriteCacheCanBeSwitchedOff) {
  start();
  EXPECT_EQ(get_bar(kConfig + 32, 1), 1u);
  EXPECT_EQ(request(1, 4, 512, false), 0u);
  EXPECT_EQ(medium.flushes, 0u);
  set_bar(kConfig + 32, 1, 0);
  EXPECT_EQ(get_bar(kConfig + 32, 1), 0u);
  EXPECT_EQ(request(1, 4, 512, false), 0u);
  EXPECT_EQ(medium.flushes, 1u);
  driver->put<uint64_t>(kBuffer, 16);
  driver->put<uint64_t>(kBuffer + 8, 8);
  EXPECT_EQ(request(13, 0, 16, false), 0u);
  EXPECT_EQ(medium.flushes, 2u);
  StateWriter writer;
  transport->save(writer);
  set_bar(0x14, 1, 0);
  EXPECT_EQ(get_bar(kConfig + 32, 1), 1u) << "a reset switches it on";
  StateReader reader(writer.bytes());
  transport->load(reader);
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(request(1, 4, 512, false), 0u);
  EXPECT_EQ(medium.flushes, 3u);
}

TEST_F(BlockTest, ADriverThatCannotFlushNeedNot) {
  start(false, 1u << 9);
  EXPECT_EQ(request(1, 4, 512, false), 0u);
  EXPECT_EQ(medium.flushes, 1u);
}

TEST_F(BlockTest, SeveralQueuesEachHaveTheirInterrupt) {
  start(false, 0, 3);
  EXPECT_NE(offered() & 1u << 12, 0u);
  EXPECT_EQ(get_bar(kConfig + 34, 2), 3u);
  // The driver of start() has queue 0; this one the last.
  set_bar(0x14, 1, 0);
  use_messages(3);
  accept(offered() & ~kFeaturePacked & ~kFeatureEventIndex);
  std::vector<SplitDriver> drivers;
  for (unsigned queue = 0; queue < 3; ++queue) drivers.push_back(make_queue(queue));
  driver_ok();
  medium.bytes[9 * 512] = 0x5a;
  SplitDriver& last = drivers[2];
  last.put<uint32_t>(kHeader, 0);
  last.put<uint64_t>(kHeader + 8, 9);
  last.descriptor(0, kHeader, 16, SplitDriver::kNext, 1);
  last.descriptor(1, kBuffer, 512, SplitDriver::kNext | SplitDriver::kWrite, 2);
  last.descriptor(2, kStatus, 1, SplitDriver::kWrite);
  last.offer(0);
  notify(2);
  ASSERT_TRUE(wait_until([&] { return last.used() == 1; }));
  EXPECT_EQ(last.get<uint8_t>(kBuffer), 0x5a);
  EXPECT_TRUE(wait_until([&] { return local.interrupt_pending(); }));
  EXPECT_EQ(local.acknowledge(), kQueueVector + 2);
  EXPECT_EQ(drivers[0].used(), 0u);
}

TEST_F(BlockTest, DiscardsAndWritesZeroes) {
  start();
  driver->put<uint64_t>(kBuffer, 16);
  driver->put<uint64_t>(kBuffer + 8, 8);
  EXPECT_EQ(request(11, 0, 16, false), 0u);
  EXPECT_EQ(medium.discarded, (std::pair<uint64_t, uint64_t>(16 * 512, 8 * 512)));
  medium.bytes[17 * 512] = 1;
  EXPECT_EQ(request(13, 0, 16, false), 0u);
  EXPECT_EQ(medium.bytes[17 * 512], 0);
  driver->put<uint64_t>(kBuffer, kSize / 512 - 4);
  EXPECT_EQ(request(13, 0, 16, false), 1u) << "beyond the end";
  driver->put<uint64_t>(kBuffer + 8, uint64_t{4} << 32 | 8);
  EXPECT_EQ(request(13, 0, 16, false), 2u) << "an unknown flag";
  EXPECT_EQ(request(11, 0, 15, false), 1u) << "half a range";
}

TEST_F(BlockTest, WhatCannotBeDoneIsAnError) {
  start();
  EXPECT_EQ(request(0, kSize / 512, 512, true), 1u) << "beyond the end";
  EXPECT_EQ(request(0, kSize / 512 - 1, 1024, true), 1u);
  EXPECT_EQ(request(0, ~uint64_t{0}, 512, true), 1u);
  EXPECT_EQ(request(1, 0, 100, false), 1u) << "no whole sector";
  EXPECT_EQ(request(99, 0, 512, true), 2u) << "unknown";
  medium.result = IoStatus::kFailed;
  EXPECT_EQ(request(0, 0, 512, true), 1u);
  EXPECT_EQ(request(4, 0, 0, false), 1u);
}

TEST_F(BlockTest, AReadOnlyMediumIsNotWritten) {
  start(true);
  EXPECT_NE(offered() & 1u << 5, 0u);
  driver->put<uint64_t>(kBuffer, 1);
  EXPECT_EQ(request(1, 0, 512, false), 1u);
  EXPECT_EQ(request(11, 0, 16, false), 1u);
  EXPECT_EQ(medium.bytes[0], 0);
}

TEST_F(BlockTest, BuffersOutsideMemoryAreAnErrorAndTouchNothing) {
  start();
  driver->put<uint32_t>(kHeader, 0);
  driver->put<uint64_t>(kHeader + 8, 0);
  driver->descriptor(0, kHeader, 16, SplitDriver::kNext, 1);
  driver->descriptor(1, 0xfffff000, 0x2000, SplitDriver::kNext | SplitDriver::kWrite, 2);
  driver->descriptor(2, kStatus, 1, SplitDriver::kWrite);
  driver->offer(0);
  notify(0);
  ASSERT_TRUE(wait_until([&] { return driver->used() == 1; }));
  EXPECT_EQ(driver->get<uint8_t>(kStatus), 1u);
}

TEST_F(BlockTest, ARequestWithoutAStatusByteBreaksTheQueue) {
  start();
  driver->descriptor(0, kHeader, 16, 0);
  driver->offer(0);
  notify(0);
  EXPECT_TRUE(wait_until([&] { return (status() & kStatusNeedsReset) != 0; }));
}

TEST_F(BlockTest, AShortHeaderBreaksTheQueue) {
  start();
  driver->descriptor(0, kHeader, 15, SplitDriver::kNext, 1);
  driver->descriptor(1, kStatus, 1, SplitDriver::kWrite);
  driver->offer(0);
  notify(0);
  EXPECT_TRUE(wait_until([&] { return (status() & kStatusNeedsReset) != 0; }));
}

TEST_F(BlockTest, AResetWaitsForWhatIsUnderWayAndNothingComesAfter) {
  start();
  medium.hold = true;
  submit(0, 0, 512, true);
  std::thread releaser([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    medium.hold = false;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  set_bar(0x14, 1, 0);
  driver->put<uint64_t>(kBuffer, 0x77);
  medium.bytes[0] = 1;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(driver->get<uint64_t>(kBuffer), 0x77u);
  EXPECT_EQ(status(), 0u);
  releaser.join();
}

TEST_F(BlockTest, ManyRequestsInFlightAllComeBack) {
  start();
  std::array<unsigned, 4> seen{};
  for (unsigned round = 0; round < 500; ++round) {
    const uint16_t before = driver->used();
    for (unsigned i = 0; i < 4; ++i) submit(0, i, 512, true, i);
    ASSERT_TRUE(wait_until([&] { return static_cast<uint16_t>(driver->used() - before) == 4; }));
    for (uint16_t i = 0; i < 4; ++i) ++seen[driver->used_id(static_cast<uint16_t>(before + i)) / 3];
  }
  EXPECT_EQ(seen, (std::array<unsigned, 4>{500, 500, 500, 500}));
}

}  // namespace
}  // namespace eidolon::device::virtio
