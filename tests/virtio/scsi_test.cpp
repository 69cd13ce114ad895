// The SCSI host device over disks in memory.
#include "device/virtio/scsi.h"

#include "device/storage/scsi_disk.h"
#include "device/storage/scsi_operations.h"
#include "storage/memory_medium.h"
#include "virtio/fixture.h"

namespace eidolon::device::virtio {
namespace {

using storage::MemoryMedium;
namespace command = storage::scsi;

class ScsiTest : public VirtioTest {
 protected:
  static constexpr uint64_t kBlocks = 256;
  static constexpr unsigned kRequests = 2, kEventQueue = 1, kFirst = 2;
  static constexpr GuestPhysical kControls = kData + 0x8000;
  /// What one slot of the requests' memory has, from its start.
  static constexpr uint64_t kSlotBytes = 0x1000, kStatusAt = 0x100, kDataAt = 0x400;
  static constexpr uint32_t kHeaderBytes = 51, kStatusBytes = 108;

  ScsiTest() {
    scsi = std::make_unique<Scsi>("scsi", kRequests);
    for (MemoryMedium& medium : media) scsi->attach(std::make_unique<command::Disk>(medium, "disk"));
  }
  ~ScsiTest() override {
    for (MemoryMedium& medium : media) medium.hold = false;
    scsi.reset();  // before the transport
  }
  void start(uint64_t without = kFeaturePacked | kFeatureEventIndex) {
    if (!transport) put(*scsi);
    use_messages(kFirst + kRequests);
    accept(offered() & ~without);
    for (unsigned i = 0; i < queues.size(); ++i) queues[i].emplace(make_queue(i, 64));
    driver_ok();
    ASSERT_EQ(status(), 15u);
    for (unsigned unit = 0; unit < media.size(); ++unit) (void)run(unit, {command::kTestUnitReady});
  }
  static std::vector<uint8_t> address(unsigned unit, unsigned target = 0) {
    return {1, static_cast<uint8_t>(target), 0x40, static_cast<uint8_t>(unit), 0, 0, 0, 0};
  }
  SplitDriver& queue(unsigned number) { return *queues[number]; }
  void put_bytes(GuestPhysical at, const std::vector<uint8_t>& bytes) {
    ASSERT_TRUE(memory->write(at, bytes.data(), bytes.size()));
  }
  GuestPhysical slot(unsigned number) const { return kData + number * kSlotBytes; }

  /// With slot `number`; its tag is its number.
  void submit(unsigned number, unsigned on, const std::vector<uint8_t>& where, std::vector<uint8_t> cdb,
              uint32_t room = 0, uint32_t sent = 0, bool told = true) {
    const GuestPhysical at = slot(number);
    put_bytes(at, std::vector<uint8_t>(kStatusAt + kStatusBytes));
    put_bytes(at, where);
    queue(on).put<uint64_t>(at + 8, number);
    put_bytes(at + 19, cdb);
    queue(on).put<uint8_t>(at + kStatusAt + 11, 0xee);
    const auto head = static_cast<uint16_t>(4 * number);
    auto next = head;
    const auto add = [&](GuestPhysical address, uint32_t length, uint16_t flags, bool last) {
      queue(on).descriptor(next, address, length,
                           static_cast<uint16_t>(flags | (last ? 0 : SplitDriver::kNext)),
                           static_cast<uint16_t>(next + 1));
      ++next;
    };
    add(at, kHeaderBytes, 0, false);
    if (sent != 0) add(at + kDataAt, sent, 0, false);
    add(at + kStatusAt, kStatusBytes, SplitDriver::kWrite, room == 0);
    if (room != 0) add(at + kDataAt, room, SplitDriver::kWrite, true);
    queue(on).offer(head);
    if (told) notify(on);
  }
  struct Result {
    unsigned response, status;
    uint32_t sense, residual, used;
  };
  Result result(unsigned number, unsigned on = kFirst) {
    const GuestPhysical at = slot(number) + kStatusAt;
    Result got{};
    got.residual = queue(on).get<uint32_t>(at + 4);
    got.status = queue(on).get<uint8_t>(at + 10);
    got.response = queue(on).get<uint8_t>(at + 11);
    if (queue(on).get<uint32_t>(at) >= 14)
      got.sense = queue(on).get<uint8_t>(at + 14) << 16 | queue(on).get<uint8_t>(at + 24) << 8 |
                  queue(on).get<uint8_t>(at + 25);
    got.used = queue(on).used_length(static_cast<uint16_t>(queue(on).used() - 1));
    return got;
  }
  Result run_at(const std::vector<uint8_t>& where, std::vector<uint8_t> cdb, uint32_t room = 0,
                uint32_t sent = 0, unsigned on = kFirst) {
    const uint16_t before = queue(on).used();
    submit(0, on, where, std::move(cdb), room, sent);
    EXPECT_TRUE(wait_until([&] { return queue(on).used() != before; }));
    return result(0, on);
  }
  Result run(unsigned unit, std::vector<uint8_t> cdb, uint32_t room = 0, uint32_t sent = 0,
             unsigned on = kFirst) {
    return run_at(address(unit), std::move(cdb), room, sent, on);
  }
  uint8_t data(uint64_t at) { return queue(0).get<uint8_t>(slot(0) + kDataAt + at); }

  void submit_control(uint32_t function, const std::vector<uint8_t>& where, uint64_t tag) {
    SplitDriver& control = queue(0);
    control.put<uint32_t>(kControls, 0);
    control.put<uint32_t>(kControls + 4, function);
    put_bytes(kControls + 8, where);
    control.put<uint64_t>(kControls + 16, tag);
    control.put<uint8_t>(kControls + 24, 0xee);
    control.descriptor(0, kControls, 24, SplitDriver::kNext, 1);
    control.descriptor(1, kControls + 24, 1, SplitDriver::kWrite);
    control.offer(0);
    notify(0);
  }
  unsigned manage(uint32_t function, const std::vector<uint8_t>& where, uint64_t tag = 0) {
    const uint16_t before = queue(0).used();
    submit_control(function, where, tag);
    EXPECT_TRUE(wait_until([&] { return queue(0).used() != before; }));
    return queue(0).get<uint8_t>(kControls + 24);
  }
  /// Reads of one block, as slots from 0 on, that wait in the medium; all threads are busy with them.
  void occupy_all_threads_but_one(unsigned unit) {
    media[unit].hold = true;
    for (unsigned i = 0; i + 1 < Scsi::kThreads; ++i)
      submit(i, kFirst, address(unit), {command::kRead10, 0, 0, 0, 0, 0, 0, 0, 1}, 512);
    ASSERT_TRUE(wait_until([&] { return media[unit].waiting == Scsi::kThreads - 1; }));
  }

  std::array<MemoryMedium, 2> media{MemoryMedium(kBlocks * 512), MemoryMedium(2 * kBlocks * 512)};
  std::unique_ptr<Scsi> scsi;
  std::array<std::optional<SplitDriver>, kFirst + kRequests> queues;
};

TEST_F(ScsiTest, TellsItsLimits) {
  start();
  EXPECT_EQ(get_bar(kConfig, 4), kRequests);
  EXPECT_EQ(get_bar(kConfig + 20, 4), 96u);
  EXPECT_EQ(get_bar(kConfig + 24, 4), 32u);
  EXPECT_EQ(get_bar(kConfig + 30, 2), 0u) << "one target";
}

TEST_F(ScsiTest, ReportsItsUnits) {
  start();
  const Result got = run(0, {command::kReportLuns, 0, 0, 0, 0, 0, 0, 0, 0, 255}, 255);
  EXPECT_EQ(got.response, 0u);
  EXPECT_EQ(got.residual, 255u - 24);
  EXPECT_EQ(data(3), 16);
  EXPECT_EQ(data(9), 0);
  EXPECT_EQ(data(17), 1);
  EXPECT_EQ(run(7, {command::kReportLuns, 0, 0, 0, 0, 0, 0, 0, 0, 255}, 255).status, 0u)
      << "any unit does it";
}

TEST_F(ScsiTest, ReadsAndWritesEachUnitOnEachQueue) {
  start();
  media[0].bytes[5 * 512] = 0x50;
  media[1].bytes[5 * 512] = 0x51;
  const std::vector<uint8_t> read = {command::kRead10, 0, 0, 0, 0, 5, 0, 0, 1};
  Result got = run(0, read, 1024);
  EXPECT_EQ(data(0), 0x50);
  EXPECT_EQ(got.residual, 512u);
  EXPECT_EQ(got.used, kStatusBytes + 512);
  (void)run(1, read, 512, 0, kFirst + 1);
  EXPECT_EQ(data(0), 0x51);
  queue(0).put<uint8_t>(slot(0) + kDataAt, 0x61);
  got = run(1, {command::kWrite10, 0, 0, 0, 0, 6, 0, 0, 1}, 0, 512);
  EXPECT_EQ(got.used, kStatusBytes);
  EXPECT_EQ(media[1].bytes[6 * 512], 0x61);
  EXPECT_EQ(media[0].bytes[6 * 512], 0);
}

TEST_F(ScsiTest, WhatNeedNotWaitIsDoneWhenTheNotificationReturns) {
  start();
  media[0].at_once = true;
  // Until the threads have looked at what was there when the driver came.
  ASSERT_TRUE(wait_until([&] {
    return run(0, {command::kRead10, 0, 0, 0, 0, 5, 0, 0, 1}, 512).status == 0 && media[0].asked != 0;
  }));
  media[0].asked = 0;
  media[0].bytes[5 * 512] = 0x50;
  const uint16_t before = queue(kFirst).used();
  submit(0, kFirst, address(0), {command::kRead10, 0, 0, 0, 0, 5, 0, 0, 1}, 1024);
  ASSERT_EQ(queue(kFirst).used(), static_cast<uint16_t>(before + 1));
  EXPECT_EQ(data(0), 0x50);
  EXPECT_EQ(result(0).residual, 512u);
  EXPECT_EQ(result(0).used, kStatusBytes + 512);
  EXPECT_EQ(media[0].asked, 1u);
  EXPECT_EQ(run(7, {command::kTestUnitReady}).sense, 0x052500u) << "all else is as ever";
  EXPECT_EQ(run(0, {command::kRead10, 0, 0, 0, 1, 0, 0, 0, 1}, 512).sense, 0x052100u);
  EXPECT_EQ(media[0].asked, 1u);
}

TEST_F(ScsiTest, WhatIsWrongComesWithItsSense) {
  start();
  Result got = run(0, {command::kRead10, 0, 0, 0, 1, 0, 0, 0, 1}, 512);
  EXPECT_EQ(got.response, 0u);
  EXPECT_EQ(got.status, 2u);
  EXPECT_EQ(got.sense, 0x052100u);
  EXPECT_EQ(got.residual, 512u);
  EXPECT_EQ(run(0, {command::kRead10, 0, 0, 0, 0, 0, 0, 0, 2}, 512).response, 1u) << "too little room";
}

TEST_F(ScsiTest, UnitsAndTargetsThatAreNotThere) {
  start();
  Result got = run(7, {command::kTestUnitReady});
  EXPECT_EQ(got.sense, 0x052500u);
  (void)run(7, {command::kInquiry, 0, 0, 0, 36}, 36);
  EXPECT_EQ(data(0), 0x7f);
  EXPECT_EQ(run_at(address(0, 1), {command::kTestUnitReady}).response, 3u);
  EXPECT_EQ(run_at({2, 0, 0, 0, 0, 0, 0, 0}, {command::kTestUnitReady}).response, 3u);
  EXPECT_EQ(run_at({1, 0, 0, 1, 0, 0, 0, 0}, {command::kTestUnitReady}).status, 0u) << "the older form";
  EXPECT_EQ(run_at({1, 0, 0x40, 1, 0x40, 1, 0, 0}, {command::kTestUnitReady}).sense, 0x052500u);
}

TEST_F(ScsiTest, DataBothWaysAndDataOutsideMemoryFail) {
  start();
  EXPECT_EQ(run(0, {command::kTestUnitReady}, 512, 512).response, 9u);
  SplitDriver& requests = queue(kFirst);
  const uint16_t before = requests.used();
  put_bytes(slot(0), address(0));
  put_bytes(slot(0) + 19, {command::kRead10, 0, 0, 0, 0, 0, 0, 0, 1});
  requests.descriptor(0, slot(0), kHeaderBytes, SplitDriver::kNext, 1);
  requests.descriptor(1, slot(0) + kStatusAt, kStatusBytes, SplitDriver::kNext | SplitDriver::kWrite, 2);
  requests.descriptor(2, 0xfffff000, 512, SplitDriver::kWrite);
  requests.offer(0);
  notify(kFirst);
  ASSERT_TRUE(wait_until([&] { return requests.used() != before; }));
  EXPECT_EQ(result(0).response, 9u);
}

TEST_F(ScsiTest, ABufferWithoutRoomForAStatusBreaksTheDevice) {
  start();
  queue(kFirst).descriptor(0, slot(0), kHeaderBytes, SplitDriver::kNext, 1);
  queue(kFirst).descriptor(1, slot(0) + kStatusAt, kStatusBytes - 1, SplitDriver::kWrite);
  queue(kFirst).offer(0);
  notify(kFirst);
  EXPECT_TRUE(wait_until([&] { return (status() & kStatusNeedsReset) != 0; }));
}

TEST_F(ScsiTest, TheDriverChoosesHowLongSenseAndCommandsAre) {
  start();
  set_bar(kConfig + 20, 4, 14);
  set_bar(kConfig + 24, 4, 260);
  SplitDriver& requests = queue(kFirst);
  const uint16_t before = requests.used();
  put_bytes(slot(0), address(0));
  put_bytes(slot(0) + 19, {0xff});
  requests.descriptor(0, slot(0), 19 + 260, SplitDriver::kNext, 1);
  requests.descriptor(1, slot(0) + kDataAt, 12 + 14, SplitDriver::kWrite);
  requests.offer(0);
  notify(kFirst);
  ASSERT_TRUE(wait_until([&] { return requests.used() != before; }));
  EXPECT_EQ(requests.get<uint32_t>(slot(0) + kDataAt), 14u) << "what fits of the sense data";
  EXPECT_EQ(requests.get<uint8_t>(slot(0) + kDataAt + 12 + 2), 5);
  set_bar(0x14, 1, 0);
  EXPECT_EQ(get_bar(kConfig + 20, 4), 96u);
}

TEST_F(ScsiTest, EventBuffersAreKept) {
  start();
  queue(kEventQueue).descriptor(0, kControls + 0x100, 16, SplitDriver::kWrite);
  queue(kEventQueue).offer(0);
  notify(kEventQueue);
  EXPECT_EQ(run(0, {command::kTestUnitReady}).status, 0u);
  EXPECT_EQ(queue(kEventQueue).used(), 0u);
}

TEST_F(ScsiTest, AnAbortWaitsForTheTaskThatIsUnderWay) {
  start();
  occupy_all_threads_but_one(0);
  submit_control(0, address(0), 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(queue(0).used(), 0u);
  EXPECT_EQ(queue(kFirst).used(), 2u) << "the two of start()";
  media[0].hold = false;
  ASSERT_TRUE(wait_until([&] { return queue(0).used() == 1; }));
  EXPECT_EQ(queue(0).get<uint8_t>(kControls + 24), 0u);
  EXPECT_EQ(result(1).response, 0u) << "it was too late to abort it";
}

TEST_F(ScsiTest, AnAbortGivesBackWhatHasNotBegunAndTheRestIsCarriedOut) {
  start();
  occupy_all_threads_but_one(0);
  // The device is told of the function only, and finds these in the ring.
  for (unsigned number : {5u, 6u})
    submit(number, kFirst + 1, address(1), {command::kRead10, 0, 0, 0, 0, 0, 0, 0, 1}, 512, 0, false);
  EXPECT_EQ(manage(0, address(1), 5), 0u);
  EXPECT_EQ(result(5, kFirst + 1).response, 2u) << "aborted";
  ASSERT_TRUE(wait_until([&] { return queue(kFirst + 1).used() == 2; }));
  EXPECT_EQ(result(6, kFirst + 1).response, 0u);
  submit(7, kFirst + 1, address(1), {command::kRead10, 0, 0, 0, 0, 0, 0, 0, 1}, 512, 0, false);
  EXPECT_EQ(manage(7, address(1)), 10u) << "a query";
  ASSERT_TRUE(wait_until([&] { return queue(kFirst + 1).used() == 3; }));
  EXPECT_EQ(result(7, kFirst + 1).response, 0u);
  submit(7, kFirst + 1, address(1), {command::kRead10, 0, 0, 0, 0, 0, 0, 0, 1}, 512, 0, false);
  EXPECT_EQ(manage(5, address(1)), 0u);
  EXPECT_EQ(result(7, kFirst + 1).response, 4u) << "reset";
}

TEST_F(ScsiTest, AResetOfAUnitAbortsItsCommandsAndIsToldOf) {
  start();
  occupy_all_threads_but_one(0);
  submit(5, kFirst + 1, address(1), {command::kRead10, 0, 0, 0, 0, 0, 0, 0, 1}, 512);
  ASSERT_TRUE(wait_until([&] { return queue(kFirst + 1).used() == 1; })) << "by the thread that is left";
  EXPECT_EQ(manage(6, address(0), 0), 10u) << "there is such a task";
  EXPECT_EQ(manage(6, address(0), 9), 0u) << "and not such a one";
  EXPECT_EQ(manage(7, address(1)), 0u) << "the other unit has none";
  EXPECT_EQ(manage(5, address(1)), 0u);
  EXPECT_EQ(result(5, kFirst + 1).response, 0u);
  media[0].hold = false;
  ASSERT_TRUE(wait_until([&] { return queue(kFirst).used() == 5; }));
  EXPECT_EQ(run(0, {command::kTestUnitReady}).status, 0u);
  EXPECT_EQ(run(1, {command::kTestUnitReady}).sense, 0x062903u);
  EXPECT_EQ(manage(4, address(0)), 0u) << "all units";
  EXPECT_EQ(run(0, {command::kTestUnitReady}).sense, 0x062903u);
}

TEST_F(ScsiTest, TaskManagementOfWhatIsNotThere) {
  start();
  EXPECT_EQ(manage(5, address(7)), 12u);
  EXPECT_EQ(manage(5, address(0, 1)), 3u);
  EXPECT_EQ(manage(2, address(0)), 11u) << "no auto contingent allegiance";
  EXPECT_EQ(manage(99, address(0)), 11u);
  queue(0).descriptor(0, kControls, 23, SplitDriver::kNext, 1);
  queue(0).offer(0);
  notify(0);
  EXPECT_TRUE(wait_until([&] { return (status() & kStatusNeedsReset) != 0; }));
}

TEST_F(ScsiTest, ASnapshotKeepsSizesAndUnits) {
  start();
  set_bar(kConfig + 20, 4, 20);
  EXPECT_EQ(manage(5, address(1)), 0u);
  StateWriter writer;
  transport->save(writer);
  StateReader reader(writer.bytes());
  transport->load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(status(), 15u);
  EXPECT_EQ(get_bar(kConfig + 20, 4), 20u);
  set_bar(kConfig + 20, 4, 96);
  EXPECT_EQ(run(0, {command::kTestUnitReady}).status, 0u);
  EXPECT_EQ(run(1, {command::kTestUnitReady}).sense, 0x062903u);
}

}  // namespace
}  // namespace eidolon::device::virtio
