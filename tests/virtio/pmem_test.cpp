// The persistent memory device over a medium in memory.
#include "device/virtio/pmem.h"

#include "storage/memory_medium.h"
#include "virtio/fixture.h"

namespace eidolon::device::virtio {
namespace {

using storage::IoStatus;
using storage::MemoryMedium;

class PmemTest : public VirtioTest {
 protected:
  static constexpr uint64_t kSize = 0x5000;
  static constexpr GuestPhysical kStart = 0x12'3456'7000, kRequest = kData, kResponse = kData + 0x80;
  static constexpr uint32_t kFailed = ~0u, kNotWritten = 0x55555555;

  PmemTest() {
    pmem = std::make_unique<Pmem>("pmem", medium, kStart);
    put(*pmem);
    use_messages(1);
    accept(offered() & ~kFeaturePacked & ~kFeatureEventIndex);
    driver.emplace(make_queue(0));
    driver_ok();
    EXPECT_EQ(status(), 15u);
  }
  ~PmemTest() override { pmem.reset(); }  // before the transport

  /// What the device says to a request of `length` bytes, with `room` for its answer.
  uint32_t request(uint32_t type, uint32_t length = 4, uint32_t room = 4) {
    const uint16_t before = driver->used();
    driver->put(kRequest, type);
    driver->put(kResponse, kNotWritten);
    driver->descriptor(0, kRequest, length, SplitDriver::kNext, 1);
    driver->descriptor(1, kResponse, room, SplitDriver::kWrite);
    driver->offer(0);
    notify(0);
    EXPECT_TRUE(wait_until([&] { return driver->used() != before; }));
    written = driver->used_length(before);
    return driver->get<uint32_t>(kResponse);
  }

  MemoryMedium medium{kSize};
  std::unique_ptr<Pmem> pmem;
  std::optional<SplitDriver> driver;
  uint32_t written = 0;
};

TEST_F(PmemTest, SaysWhereItIs) {
  EXPECT_EQ(read(kSlot, 0) >> 16, 0x1040u + 27);
  EXPECT_EQ(get_bar(kConfig, 8), kStart);
  EXPECT_EQ(get_bar(kConfig + 8, 8), kSize);
  EXPECT_EQ(get_bar(kConfig + 8, 4), kSize);
  EXPECT_EQ(get_bar(kConfig + 16, 4), 0u) << "there is nothing behind it";
  set_bar(kConfig, 4, 1);
  EXPECT_EQ(get_bar(kConfig, 8), kStart) << "it is read only";
}

TEST_F(PmemTest, FlushesAndSaysSo) {
  EXPECT_EQ(request(0), 0u);
  EXPECT_EQ(written, 4u);
  EXPECT_EQ(medium.flushes, 1u);
  EXPECT_TRUE(wait_until([&] { return local.interrupt_pending(); }));
  EXPECT_EQ(local.acknowledge(), kQueueVector);
  EXPECT_EQ(request(0), 0u);
  EXPECT_EQ(medium.flushes, 2u);
}

TEST_F(PmemTest, SaysWhenTheHostCouldNot) {
  medium.result = IoStatus::kFailed;
  EXPECT_EQ(request(0), kFailed);
  medium.result = IoStatus::kNoSpace;
  EXPECT_EQ(request(0), kFailed);
  EXPECT_EQ(written, 4u);
  EXPECT_EQ(medium.flushes, 2u);
}

TEST_F(PmemTest, WhatIsNeverWrittenNeedsNoFlush) {
  medium.is_read_only = true;
  EXPECT_EQ(request(0), 0u);
  EXPECT_EQ(medium.flushes, 0u);
}

TEST_F(PmemTest, WhatIsNoFlushFails) {
  EXPECT_EQ(request(1), kFailed);
  EXPECT_EQ(request(~0u), kFailed);
  EXPECT_EQ(request(0, 3), kFailed) << "too short to say what it is";
  EXPECT_EQ(written, 4u);
  EXPECT_EQ(request(0, 4, 3), kNotWritten) << "there is no room to answer";
  EXPECT_EQ(written, 0u);
  EXPECT_EQ(status(), 15u) << "and the device goes on";
  EXPECT_EQ(request(0, 16, 8), 0u) << "more room than needed does no harm";
}

TEST_F(PmemTest, ARequestOutsideMemoryFails) {
  driver->descriptor(0, ~uint64_t{0} - 2, 4, SplitDriver::kNext, 1);
  driver->descriptor(1, kResponse, 4, SplitDriver::kWrite);
  driver->put(kResponse, kNotWritten);
  driver->offer(0);
  notify(0);
  ASSERT_TRUE(wait_until([&] { return driver->used() == 1; }));
  EXPECT_EQ(driver->get<uint32_t>(kResponse), kFailed);
  EXPECT_EQ(medium.flushes, 0u);
}

}  // namespace
}  // namespace eidolon::device::virtio
