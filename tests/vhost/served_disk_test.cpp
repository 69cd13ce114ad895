// A disk that another process serves, with a driver and a back end of the test's.
#include <optional>

#include "vhost/block.h"
#include "vhost/fake_back_end.h"
#include "vhost/fixture.h"
#include "virtio/any_driver.h"

namespace eidolon::vhost {
namespace {

using device::virtio::AnyDriver;
using device::virtio::RingForm;
using memory::GuestPhysical;
using Manner = FakeBackEnd::Manner;

class ServedDiskTest : public VhostTest, public testing::WithParamInterface<unsigned> {
 protected:
  static constexpr GuestPhysical kHeader = 0x60000, kData = 0x61000, kStatus = 0x62000;
  static constexpr uint64_t kFlush = 1u << 9;

  ~ServedDiskTest() override { disk.reset(); }  // before what it uses

  void serve(Manner manner = Manner::kGood) {
    back_end.emplace(socket, bytes, manner);
    back_end->start();
  }
  Result<> make(unsigned most_queues = 1) {
    auto made = make_block("disk", socket, most_queues, *memory);
    if (!made) return std::unexpected(made.error());
    disk = *std::move(made);
    disk->connect(dma, interrupts);
    return {};
  }
  void start(const RingForm& form = {.packed = false, .indirect = false, .event_index = false}) {
    driver.emplace(*memory, kRings, 8, form);
    VhostTest::start(*disk, form.features() | kFlush, {driver->place()});
  }
  void ask(uint32_t type, uint64_t sector, bool writes) {
    driver->put<uint64_t>(kHeader, type);
    driver->put<uint64_t>(kHeader + 8, sector);
    driver->put<uint8_t>(kStatus, 0x77);
    driver->offer({{kHeader, 16, false}, {kData, 512, writes}, {kStatus, 1, true}});
    disk->notify(0);
  }
  bool answered() {
    const bool returned = wait_until([this] { return driver->returned(); });
    (void)disk->status();  // with the device's lock: whether to interrupt has been decided
    return returned;
  }

  FakeDisk bytes;
  std::optional<FakeBackEnd> back_end;
  std::optional<AnyDriver> driver;
  std::unique_ptr<device::virtio::Device> disk;
};

TEST_P(ServedDiskTest, RequestsPassWithEveryFormOfRing) {
  const RingForm form = {.packed = (GetParam() & 1) != 0,
                         .indirect = (GetParam() & 2) != 0,
                         .event_index = (GetParam() & 4) != 0};
  serve();
  ASSERT_TRUE(make());
  start(form);
  for (unsigned round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    driver->put<uint32_t>(kData, round);
    ask(1, round % 128, false);
    ASSERT_TRUE(answered());
    EXPECT_EQ(driver->get<uint8_t>(kStatus), 0);
    EXPECT_EQ(bytes.get(round % 128 * 512), round);
    driver->put<uint32_t>(kData, 0);
    ask(0, round % 128, true);
    ASSERT_TRUE(answered());
    EXPECT_EQ(driver->written(), 513u);
    EXPECT_EQ(driver->get<uint32_t>(kData), round);
  }
  EXPECT_TRUE(wait_until([this] { return interrupts.queue == 80; }));
}
INSTANTIATE_TEST_SUITE_P(All, ServedDiskTest, testing::Range(0u, 8u));

TEST_F(ServedDiskTest, ItsDoorbellIsANotification) {
  serve();
  ASSERT_TRUE(make());
  start();
  for (unsigned round = 1; round <= 3; ++round) {
    driver->put<uint64_t>(kHeader, 0);
    driver->put<uint64_t>(kHeader + 8, 0);
    driver->offer({{kHeader, 16, false}, {kData, 512, true}, {kStatus, 1, true}});
    const uint64_t one = 1;
    ASSERT_EQ(write(disk->doorbell(0), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    ASSERT_TRUE(answered());
    EXPECT_EQ(back_end->requests, round);
  }
}

TEST_F(ServedDiskTest, ADoorbellBeforeTheDriverIsReadyDoesNoHarm) {
  serve();
  ASSERT_TRUE(make());
  const uint64_t one = 1;
  ASSERT_EQ(write(disk->doorbell(0), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  start();
  ask(0, 0, true);
  EXPECT_TRUE(answered());
  EXPECT_EQ(back_end->requests, 1u);
}

TEST_F(ServedDiskTest, SaysWhatTheBackEndSays) {
  serve();
  ASSERT_TRUE(make(4));
  EXPECT_EQ(disk->read_config(0, 8), 128u);
  EXPECT_EQ(disk->read_config(34, 2), 2u) << "queues";
  EXPECT_EQ(disk->shape().queue_sizes.size(), 2u);
  EXPECT_EQ(disk->shape().features, 1u << 2 | 1u << 9 | 1u << 12) << "but for the cache that can be switched";
  EXPECT_FALSE(disk->obstacle().empty());
}

TEST_F(ServedDiskTest, TheBackEndHearsWhatTheDriverAccepts) {
  serve();
  ASSERT_TRUE(make());
  start({.packed = true, .indirect = true, .event_index = true});
  ASSERT_TRUE(wait_until([this] { return back_end->starts == 1; }));
  EXPECT_EQ(back_end->accepted, FakeBackEnd::kVersion1 | kFeatureProtocol | kFlush)
      << "and nothing of its rings, which it does not see";
}

TEST_F(ServedDiskTest, WritesOfTheBackEndDropTranslations) {
  serve();
  ASSERT_TRUE(make());
  start();
  std::atomic<bool> woken{false};
  memory->set_foreign_write_waker([&] { woken = true; });
  memory->mark_code(kData);
  ask(0, 0, true);
  ASSERT_TRUE(answered());
  EXPECT_TRUE(woken);
  disk->reset();
  memory->set_foreign_write_waker(nullptr);
}

TEST_F(ServedDiskTest, ABackEndThatComesBackIsAskedAgain) {
  serve(Manner::kSilent);
  ASSERT_TRUE(make());
  start();
  driver->put<uint32_t>(kData, 4711);
  ask(1, 3, false);
  ASSERT_TRUE(wait_until([this] { return back_end->requests == 1; }));
  back_end->die();
  EXPECT_FALSE(driver->returned());
  serve();
  ASSERT_TRUE(answered());
  EXPECT_EQ(driver->get<uint8_t>(kStatus), 0);
  EXPECT_EQ(bytes.get(3 * 512) | bytes.get(3 * 512 + 1) << 8, 4711);
}

TEST_F(ServedDiskTest, RequestsWaitWhileThereIsNoBackEnd) {
  serve();
  ASSERT_TRUE(make());
  start();
  ask(0, 0, true);
  ASSERT_TRUE(answered());
  back_end->die();
  ask(0, 1, true);
  EXPECT_FALSE(driver->returned());
  bytes.put(512, 0x5a);
  serve();
  ASSERT_TRUE(answered());
  EXPECT_EQ(driver->get<uint8_t>(kData), 0x5a);
}

TEST_F(ServedDiskTest, AnotherDiskIsNotTakenForTheOneBefore) {
  serve();
  ASSERT_TRUE(make());
  start();
  back_end->die();
  back_end.emplace(socket, bytes);
  back_end->sectors = 64;
  back_end->start();
  ask(0, 0, true);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_FALSE(driver->returned());
  EXPECT_EQ(back_end->starts, 0u);
}

TEST_F(ServedDiskTest, AResetWaitsForTheBackEndAndStartsItAnew) {
  serve();
  ASSERT_TRUE(make());
  for (unsigned round = 1; round <= 3; ++round) {
    start();
    ask(0, 0, true);
    ASSERT_TRUE(wait_until([&] { return back_end->starts == round; }));
    disk->set_status(0);
    EXPECT_EQ(back_end->stops, round);
  }
  EXPECT_EQ(back_end->lost_rings, 0u) << "qemu-storage-daemon ends the connection then";
}

TEST_F(ServedDiskTest, AResetWithoutABackEndForgetsWhatWasAsked) {
  serve(Manner::kSilent);
  ASSERT_TRUE(make());
  start();
  ask(0, 0, true);
  ASSERT_TRUE(wait_until([this] { return back_end->requests == 1; }));
  back_end->die();
  disk->set_status(0);
  serve();
  start();
  ASSERT_TRUE(wait_until([this] { return back_end->starts == 1; }));
  EXPECT_EQ(back_end->requests, 0u);
}

class BadAnswerTest : public ServedDiskTest {};

/// The driver hears nothing of it but that a good one answers later.
TEST_P(BadAnswerTest, IsTheEndOfTheConnection) {
  serve(static_cast<Manner>(GetParam()));
  ASSERT_TRUE(make());
  start();
  ask(0, 0, true);
  ASSERT_TRUE(wait_until([this] { return back_end->requests >= 2 || driver->returned(); }))
      << "it is reached again and asked again";
  back_end->die();
  EXPECT_EQ(disk->status(), 15);
  serve();
  ask(0, 1, true);
  EXPECT_TRUE(answered());
}
INSTANTIATE_TEST_SUITE_P(All, BadAnswerTest,
                         testing::Values(static_cast<unsigned>(Manner::kWrongHead),
                                         static_cast<unsigned>(Manner::kOneMore)));

TEST_F(ServedDiskTest, ALengthThatCannotBeIsNotPassedOn) {
  serve(Manner::kTooLong);
  ASSERT_TRUE(make());
  start();
  ask(0, 0, true);
  ASSERT_TRUE(answered());
  EXPECT_EQ(driver->written(), 0u);
}

TEST_F(ServedDiskTest, BuffersOutsideMemoryNeedAReset) {
  serve();
  ASSERT_TRUE(make());
  start();
  ASSERT_TRUE(wait_until([this] { return back_end->starts == 1; }));
  driver->offer({{kHeader, 16, false}, {kMemory - 256, 512, true}});
  disk->notify(0);
  EXPECT_TRUE(wait_until([this] { return (disk->status() & device::virtio::kStatusNeedsReset) != 0; }));
  EXPECT_EQ(back_end->requests, 0u);
  disk->set_status(0);
  start();
  ask(0, 0, true);
  EXPECT_TRUE(answered());
}

TEST_F(ServedDiskTest, ASocketWithoutABackEndIsOneSentence) {
  const auto nobody = make();
  ASSERT_FALSE(nobody);
  EXPECT_NE(nobody.error().message.find(socket), std::string::npos);
  EXPECT_NE(nobody.error().message.find("start the back end first"), std::string::npos);
}

TEST_F(ServedDiskTest, ABackEndThatCannotServeADiskIsRefused) {
  for (const Manner manner : {Manner::kNoConfig, Manner::kNoProtocol, Manner::kGarbage}) {
    serve(manner);
    const auto made = make();
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().message.find("cannot serve this device"), std::string::npos);
    back_end->die();
  }
  back_end.emplace(socket, bytes);
  back_end->features &= ~FakeBackEnd::kVersion1;
  back_end->start();
  EXPECT_FALSE(make());
}

TEST_F(ServedDiskTest, OneThatRefusesTheMemoryIsTriedAgain) {
  serve(Manner::kRefuses);
  ASSERT_TRUE(make());
  start();
  ask(0, 0, true);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_FALSE(driver->returned());
  back_end->die();
  serve();
  EXPECT_TRUE(answered());
}

}  // namespace
}  // namespace eidolon::vhost
