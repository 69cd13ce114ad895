// The network card and the entropy device.
#include "device/virtio/net.h"

#include "device/virtio/rng.h"
#include "virtio/fixture.h"

namespace eidolon::device::virtio {
namespace {

class FakeLink final : public net::Link {
 public:
  void plug(net::Card* new_card) override { card = new_card; }
  void wake() override { ++wakes; }
  net::Card* card = nullptr;
  unsigned wakes = 0;
};

class NetTest : public VirtioTest {
 protected:
  NetTest() { put(net); }
  void start(uint64_t features) {
    use_messages(2);
    accept(kFeatureVersion1 | features);
    receive.emplace(make_queue(0));
    transmit.emplace(make_queue(1));
    driver_ok();
    ASSERT_EQ(status(), 15u);
  }
  static constexpr uint64_t kMergeable = 1u << 15;

  FakeLink link;
  Net net{"net", link, net::kFirstAddress};
  std::optional<SplitDriver> receive, transmit;
};

TEST_F(NetTest, TellsItsAddressAndThatTheLinkIsUp) { EXPECT_EQ(get_bar(kConfig, 8), 0x0001'5634'1200'5452u); }

TEST_F(NetTest, SendsFramesWithoutTheHeader) {
  start(0);
  transmit->put<uint64_t>(kData + 12, 0x8877665544332211);
  transmit->descriptor(0, kData, 12, SplitDriver::kNext, 1);
  transmit->descriptor(1, kData + 12, 60, 0);
  transmit->offer(0);
  link.wakes = 0;
  notify(1);
  EXPECT_EQ(link.wakes, 1u);
  std::vector<uint8_t> frame;
  ASSERT_TRUE(link.card->next_frame(frame));
  EXPECT_EQ(frame.size(), 60u);
  EXPECT_EQ(frame[1], 0x22);
  EXPECT_EQ(transmit->used(), 1u);
  EXPECT_EQ(local.acknowledge(), kQueueVector + 1);
  EXPECT_FALSE(link.card->next_frame(frame));
}

TEST_F(NetTest, FramesThatCannotBeAreDropped) {
  start(0);
  std::vector<uint8_t> frame;
  for (const uint32_t length : {5u, 12u, 12u + 1519u}) {
    transmit->descriptor(0, kData, length, 0);
    transmit->offer(0);
    EXPECT_FALSE(link.card->next_frame(frame)) << length;
  }
  EXPECT_EQ(transmit->used(), 3u) << "but the buffers come back";
}

TEST_F(NetTest, ReceivesIntoABuffer) {
  start(0);
  const std::vector<uint8_t> frame(100, 0xab);
  EXPECT_FALSE(link.card->receive(frame)) << "no buffer";
  receive->descriptor(0, kData, 1526, SplitDriver::kWrite);
  receive->offer(0);
  link.wakes = 0;
  notify(0);
  EXPECT_EQ(link.wakes, 1u) << "there is room now";
  EXPECT_TRUE(link.card->receive(frame));
  EXPECT_EQ(receive->used_length(0), 112u);
  EXPECT_EQ(receive->get<uint16_t>(kData + 10), 1u) << "one buffer";
  EXPECT_EQ(receive->get<uint16_t>(kData + 12), 0xababu);
}

TEST_F(NetTest, MergesBuffersForAFrameLargerThanOne) {
  start(kMergeable);
  for (uint16_t i = 0; i < 3; ++i) {
    receive->descriptor(i, kData + 0x100 * i, 64, SplitDriver::kWrite);
    receive->offer(i);
  }
  std::vector<uint8_t> frame(150);
  for (size_t i = 0; i < frame.size(); ++i) frame[i] = static_cast<uint8_t>(i);
  ASSERT_TRUE(link.card->receive(frame));
  EXPECT_EQ(receive->used(), 3u);
  EXPECT_EQ(receive->get<uint16_t>(kData + 10), 3u);
  EXPECT_EQ(receive->used_length(0), 64u);
  EXPECT_EQ(receive->used_length(2), 150u + 12 - 128);
  EXPECT_EQ(receive->get<uint8_t>(kData + 0x100), 64 - 12);
}

TEST_F(NetTest, AFrameWaitsUntilItsLastBufferIsThere) {
  start(kMergeable);
  const std::vector<uint8_t> frame(100, 1);
  receive->descriptor(0, kData, 64, SplitDriver::kWrite);
  receive->descriptor(1, kData + 64, 64, SplitDriver::kWrite);
  receive->offer(0);
  EXPECT_FALSE(link.card->receive(frame));
  EXPECT_EQ(receive->used(), 0u);
  receive->offer(1);
  EXPECT_TRUE(link.card->receive(frame));
  EXPECT_EQ(receive->used(), 2u);
}

TEST_F(NetTest, BuffersWithoutRoomBreakTheQueue) {
  start(0);
  receive->descriptor(0, kData, 20, SplitDriver::kWrite);
  receive->offer(0);
  EXPECT_FALSE(link.card->receive(std::vector<uint8_t>(100)));
  EXPECT_NE(status() & kStatusNeedsReset, 0);
  EXPECT_TRUE(link.card->receive(std::vector<uint8_t>(100))) << "lost, as on a wire";
}

TEST_F(NetTest, WhatWasTakenIsForgottenByAReset) {
  start(kMergeable);
  receive->descriptor(0, kData, 64, SplitDriver::kWrite);
  receive->offer(0);
  const std::vector<uint8_t> frame(100, 1);
  EXPECT_FALSE(link.card->receive(frame));
  set_bar(0x14, 1, 0);
  start(kMergeable);
  receive->descriptor(5, kData, 2000, SplitDriver::kWrite);
  receive->offer(5);
  EXPECT_TRUE(link.card->receive(frame));
  EXPECT_EQ(receive->used(), 1u);
  EXPECT_EQ(receive->used_id(0), 5u);
}

class RngTest : public VirtioTest {
 protected:
  RngTest() { put(*rng); }
  ~RngTest() override { rng.reset(); }
  std::unique_ptr<Rng> rng = std::make_unique<Rng>("rng");
};

TEST_F(RngTest, FillsBuffersWithBytesThatDiffer) {
  accept(kFeatureVersion1);
  SplitDriver driver = make_queue(0);
  driver_ok();
  driver.descriptor(0, kData, 512, SplitDriver::kWrite);
  driver.offer(0);
  notify(0);
  ASSERT_TRUE(wait_until([&] { return driver.used() == 1; }));
  EXPECT_EQ(driver.used_length(0), 512u);
  EXPECT_NE(driver.get<uint64_t>(kData), driver.get<uint64_t>(kData + 8));
  EXPECT_NE(driver.get<uint64_t>(kData + 504), 0u);
}

TEST_F(RngTest, ABufferOutsideMemoryGetsNothing) {
  accept(kFeatureVersion1);
  SplitDriver driver = make_queue(0);
  driver_ok();
  driver.descriptor(0, 0xfffff000, 512, SplitDriver::kWrite);
  driver.offer(0);
  notify(0);
  ASSERT_TRUE(wait_until([&] { return driver.used() == 1; }));
  EXPECT_EQ(driver.used_length(0), 0u);
}

}  // namespace
}  // namespace eidolon::device::virtio
