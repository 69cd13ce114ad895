// The balloon: what a guest gives leaves the monitor's resident memory, and nothing else does.
#include "device/virtio/balloon.h"

#include <sys/mman.h>

#include <future>

#include "virtio/fixture.h"

namespace eidolon::device::virtio {
namespace {

using namespace std::chrono_literals;

class BalloonTest : public VirtioTest {
 protected:
  static constexpr uint64_t kStatisticsBit = 1u << 1, kReportingBit = 1u << 5;
  static constexpr uint64_t kPage = 4096;

  BalloonTest() { put(*balloon); }
  ~BalloonTest() override { balloon.reset(); }

  void start(uint64_t features = kStatisticsBit | kReportingBit) {
    use_messages(5);
    accept(kFeatureVersion1 | features);
    for (unsigned queue = 0; queue < 5; ++queue) queues.push_back(make_queue(queue));
    driver_ok();
    ASSERT_EQ(status(), 15u);
    for (uint64_t at = kGiven; at < kGiven + 16 * kPage; at += kPage) queues[0].put<uint64_t>(at, at);
  }
  /// Whether the host has a page for it.
  [[nodiscard]] bool resident(GuestPhysical at) const {
    unsigned char pages = 0;
    EXPECT_EQ(mincore(memory->host(at, kPage), kPage, &pages), 0);
    return (pages & 1) != 0;
  }
  /// Offers one buffer and waits until it comes back.
  void hand_over(unsigned queue, GuestPhysical at, uint32_t length, uint16_t flags) {
    const auto before = queues[queue].used();
    queues[queue].descriptor(0, at, length, flags);
    queues[queue].offer(0);
    notify(queue);
    ASSERT_TRUE(wait_until([&] { return queues[queue].used() != before; }));
  }
  void inflate(const std::vector<uint32_t>& numbers) {
    ASSERT_TRUE(memory->write(kData, numbers.data(), numbers.size() * 4));
    hand_over(0, kData, static_cast<uint32_t>(numbers.size() * 4), 0);
  }
  void put_statistic(unsigned index, uint16_t tag, uint64_t value) {
    queues[0].put(kData + 10 * index, tag);
    queues[0].put(kData + 10 * index + 2, value);
  }
  void offer_statistics(unsigned count) {
    queues[2].descriptor(0, kData, 10 * count, 0);
    queues[2].offer(0);
    notify(2);
  }

  static constexpr GuestPhysical kGiven = 0x40000;  ///< behind the queues, before kData
  std::unique_ptr<Balloon> balloon = std::make_unique<Balloon>("balloon");
  std::vector<SplitDriver> queues;
};

TEST_F(BalloonTest, AsksTheGuestByAnInterruptAndHearsHowMuchItGave) {
  start();
  balloon->set_target(5 * kPage);
  EXPECT_EQ(local.acknowledge(), kConfigVector);
  EXPECT_EQ(get_bar(kConfig, 4), 5u);
  set_bar(kConfig + 4, 4, 3);
  const Balloon::Report report = balloon->report(0ms);
  EXPECT_TRUE(report.driver);
  EXPECT_EQ(report.target, 5 * kPage);
  EXPECT_EQ(report.given, 3 * kPage);
  EXPECT_EQ(get_bar(kConfig, 8), 0x3'0000'0005u);
  set_bar(kConfig, 4, 77);
  EXPECT_EQ(get_bar(kConfig, 4), 5u) << "what is asked for is the host's";
}

TEST_F(BalloonTest, WhatIsAskedForOutlivesADriver) {
  start();
  balloon->set_target(5 * kPage);
  set_bar(kConfig + 4, 4, 3);
  set_bar(0x14, 1, 0);
  EXPECT_EQ(get_bar(kConfig, 8), 5u);
  EXPECT_FALSE(balloon->report(0ms).driver);
}

TEST_F(BalloonTest, PagesThatAreGivenLeaveTheHostAndReadAsZeros) {
  start();
  constexpr uint32_t kFirst = kGiven / kPage;
  // Up, down, alone, and twice.
  inflate({kFirst, kFirst + 1, kFirst + 2, kFirst + 6, kFirst + 5, kFirst + 9, kFirst + 9});
  for (const unsigned given : {0, 1, 2, 5, 6, 9}) EXPECT_FALSE(resident(kGiven + given * kPage)) << given;
  for (const unsigned kept : {3, 4, 7, 8, 10}) {
    EXPECT_TRUE(resident(kGiven + kept * kPage)) << kept;
    EXPECT_EQ(queues[0].get<uint64_t>(kGiven + kept * kPage), kGiven + kept * kPage);
  }
  EXPECT_EQ(queues[0].get<uint64_t>(kGiven + 2 * kPage), 0u);
  EXPECT_EQ(local.acknowledge(), kQueueVector);
  hand_over(1, kData, 4, 0);
  queues[0].put<uint64_t>(kGiven, 42);
  EXPECT_TRUE(resident(kGiven));
  EXPECT_EQ(queues[0].get<uint64_t>(kGiven), 42u);
}

TEST_F(BalloonTest, WhoHasTranslatedAPageIsToldThatItIsGone) {
  struct Recorder final : memory::CodeObserver {
    void code_written(GuestPhysical address, uint64_t length) override { told.emplace_back(address, length); }
    std::vector<std::pair<GuestPhysical, uint64_t>> told;
  } observer;
  start();
  memory->set_code_observer(&observer);
  memory->mark_code(kGiven + kPage);
  inflate({kGiven / kPage, kGiven / kPage + 1});
  memory->settle_foreign_writes();
  EXPECT_EQ(observer.told, (std::vector<std::pair<GuestPhysical, uint64_t>>{{kGiven + kPage, kPage}}));
  memory->clear_code(kGiven + kPage);
  memory->set_code_observer(nullptr);
}

TEST_F(BalloonTest, PagesOutsideMemoryAreLeftAlone) {
  start();
  const uint64_t end = memory->regions().back().base + memory->regions().back().length;
  constexpr uint32_t kFirst = kGiven / kPage;
  inflate({~0u, static_cast<uint32_t>(end / kPage), kFirst, static_cast<uint32_t>(kWindow / kPage)});
  EXPECT_FALSE(resident(kGiven));
  hand_over(0, 0xfffff000, 4096, 0);  // the list itself
  hand_over(0, kData, 3, 0);          // less than a number
  EXPECT_EQ(status(), 15u);
}

TEST_F(BalloonTest, ReportedRangesLeaveTheHostButNoPartsOfPages) {
  start();
  // Queue 4 as the specification has it, 3 as drivers have it that do not count queues without use.
  hand_over(4, kGiven, 2 * kPage, SplitDriver::kWrite);
  EXPECT_FALSE(resident(kGiven));
  EXPECT_FALSE(resident(kGiven + kPage));
  EXPECT_TRUE(resident(kGiven + 2 * kPage));
  hand_over(3, kGiven + 4 * kPage - 1, 2 * kPage, SplitDriver::kWrite);
  EXPECT_TRUE(resident(kGiven + 3 * kPage));
  EXPECT_FALSE(resident(kGiven + 4 * kPage));
  EXPECT_TRUE(resident(kGiven + 5 * kPage));
}

TEST_F(BalloonTest, WithoutStatisticsTheThirdQueueReports) {
  start(kReportingBit);
  hand_over(2, kGiven, kPage, SplitDriver::kWrite);
  EXPECT_FALSE(resident(kGiven));
  EXPECT_FALSE(balloon->report(0ms).statistics[Balloon::kFree].has_value());
}

TEST_F(BalloonTest, StatisticsAreAskedForWhenTheyAreWanted) {
  start();
  put_statistic(0, Balloon::kFree, 1000);
  offer_statistics(1);
  EXPECT_EQ(queues[2].used(), 0u) << "the buffer stays with the device";
  auto asked = std::async(std::launch::async, [&] { return balloon->report(10s); });
  ASSERT_TRUE(wait_until([&] { return queues[2].used() == 1; }));
  put_statistic(0, Balloon::kFree, 2000);
  put_statistic(1, Balloon::kTotal, ~uint64_t{0});
  put_statistic(2, 12345, 7);
  put_statistic(3, Balloon::kCaches, 3000);
  offer_statistics(4);
  const Balloon::Report report = asked.get();
  EXPECT_EQ(report.statistics[Balloon::kFree], 2000u);
  EXPECT_EQ(report.statistics[Balloon::kCaches], 3000u);
  EXPECT_FALSE(report.statistics[Balloon::kTotal].has_value()) << "all ones: not known";
  EXPECT_EQ(queues[2].used(), 1u);
}

TEST_F(BalloonTest, AGuestThatDoesNotAnswerHasNoStatistics) {
  start();
  put_statistic(0, Balloon::kFree, 1000);
  offer_statistics(1);
  EXPECT_FALSE(balloon->report(1ms).statistics[Balloon::kFree].has_value());
  EXPECT_FALSE(balloon->report(1ms).statistics[Balloon::kFree].has_value());
  EXPECT_EQ(queues[2].used(), 1u) << "it was asked once";
}

TEST_F(BalloonTest, GoesOnFromItsState) {
  start();
  balloon->set_target(8 * kPage);
  set_bar(kConfig + 4, 4, 6);
  offer_statistics(0);
  StateWriter writer;
  transport->save(writer);
  balloon->set_target(0);
  set_bar(0x14, 1, 0);
  StateReader reader(writer.bytes());
  transport->load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(get_bar(kConfig, 8), 0x6'0000'0008u);
  EXPECT_EQ(queues[2].used(), 0u);
  (void)balloon->report(0ms);
  EXPECT_EQ(queues[2].used(), 1u) << "the buffer for statistics was kept";
}

}  // namespace
}  // namespace eidolon::device::virtio
