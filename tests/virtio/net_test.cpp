// The network card and the entropy device.
#include "device/virtio/net.h"

#include "device/virtio/rng.h"
#include "net/packets.h"
#include "virtio/net_fixture.h"

namespace eidolon::device::virtio {
namespace {

using net::cut;
using net::Cut;
using net::Offload;

TEST_F(NetTest, TellsItsAddressAndThatTheLinkIsUp) {
  EXPECT_EQ(get_bar(kConfig, 8), 0x0001'5634'1200'5452u);
  EXPECT_EQ(get_bar(kConfig + 8, 2), 1u) << "one pair";
  link.card->set_link(false);
  EXPECT_EQ(get_bar(kConfig + 6, 1), 0u);
}

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

TEST_F(NetTest, TheDriverSeesAllBuffersOfAFrameAtOnce) {
  start(kMergeable);
  for (uint16_t i = 0; i < 3; ++i) {
    receive->descriptor(i, kData + 0x100 * i, 64, SplitDriver::kWrite);
    receive->offer(i);
  }
  // Translations of the page make each write to it heard of: the driver looks in between.
  unsigned looks = 0;
  memory->set_foreign_write_waker([&] {
    ++looks;
    EXPECT_EQ(receive->used(), 0u);
  });
  memory->mark_code(kData);
  EXPECT_TRUE(link.card->receive(std::vector<uint8_t>(150)));
  EXPECT_GE(looks, 3u);
  EXPECT_EQ(receive->used(), 3u);
  memory->set_foreign_write_waker(nullptr);
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
  EXPECT_TRUE(link.card->receive(std::vector<uint8_t>(100)));
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

// What is left to the device

TEST_F(NetTest, FinishesWhatTheDriverLeavesForANetworkThatTakesOnlyFinishedFrames) {
  start(kSum | kTcp4);
  const net::Frame payload = net::payload_of(2500);
  net::Frame frame = net::tcp4(payload, 1, net::kAck, 1);
  send(frame, cut(frame, 1400));
  net::Frame out;
  ASSERT_TRUE(link.card->next_frame(out));
  EXPECT_EQ(out, net::tcp4({payload.begin(), payload.begin() + 1400}, 1, net::kAck, 1));
  ASSERT_TRUE(link.card->next_frame(out));
  EXPECT_EQ(out, net::tcp4({payload.begin() + 1400, payload.end()}, 1401, net::kAck, 2));
  EXPECT_FALSE(link.card->next_frame(out));
  const net::Frame right = net::tcp4(net::payload_of(100));
  frame = right;
  Offload offload = cut(frame, 1400);
  offload.cut = Cut::kNone;
  net::put_16(frame, net::kTcp4 + 16,
              net::pseudo_sum(frame, {.ip_at = 14, .is_v6 = false, .at = 34, .payload = 54}, 120));
  send(frame, offload);
  ASSERT_TRUE(link.card->next_frame(out));
  EXPECT_EQ(out, right);
}

TEST_F(NetTest, HandsItOverAsItIsToOneThatCanDoIt) {
  start(kSum | kTcp4 | kTcp6);
  for (const bool is_v6 : {false, true}) {
    net::Frame frame = is_v6 ? net::tcp6(net::payload_of(60'000)) : net::tcp4(net::payload_of(60'000));
    const Offload offload = cut(frame, 1400, is_v6);
    send(frame, offload);
    net::Frame out;
    Offload left;
    ASSERT_TRUE(link.card->next_large(out, left));
    EXPECT_EQ(out, frame);
    EXPECT_EQ(left, offload);
  }
}

TEST_F(NetTest, WhatADriverMustNotLeaveIsDropped) {
  start(kSum | kTcp4);
  net::Frame frame = net::tcp4(net::payload_of(3000)), six = net::tcp6(net::payload_of(3000)), out;
  const Offload good = cut(frame, 1400), of_six = cut(six, 1400, true);
  const auto is_dropped = [&](const net::Frame& sent, const Offload& offload) {
    send(sent, offload);
    return !link.card->next_frame(out);
  };
  EXPECT_TRUE(is_dropped(six, of_six)) << "not negotiated";
  for (const uint16_t segment : {0, 1, 60000}) {
    Offload offload = good;
    offload.segment = segment;
    EXPECT_TRUE(is_dropped(frame, offload)) << segment;
  }
  Offload outside = good;
  outside.sum_start = 5000;
  EXPECT_TRUE(is_dropped(frame, outside));
  EXPECT_TRUE(is_dropped(frame, {})) << "too long for a wire";
  EXPECT_EQ(transmit->used(), 6u) << "but the buffers come back";
  EXPECT_EQ(status(), 15u);
}

TEST_F(NetTest, WithoutTheFeatureNothingInTheHeaderCounts) {
  start(0);
  const net::Frame frame = net::tcp4(net::payload_of(100));
  send(frame, {.sum_missing = true, .sum_start = 34, .sum_offset = 16});
  net::Frame out;
  ASSERT_TRUE(link.card->next_frame(out));
  EXPECT_EQ(out, frame);
}

TEST_F(NetTest, TakesWhatTheDriverHasSaidThatItTakes) {
  net::Frame frame = net::tcp4(net::payload_of(3000));
  const Offload four = cut(frame, 1400), six = {.sum_missing = true, .cut = Cut::kTcp6},
                sum = {.sum_missing = true};
  EXPECT_FALSE(link.card->takes(four));
  start(kGuestSum | kGuestTcp4);
  EXPECT_TRUE(link.card->takes({}));
  EXPECT_TRUE(link.card->takes(sum));
  EXPECT_TRUE(link.card->takes(four));
  EXPECT_FALSE(link.card->takes(six));
  Offload congested = four;
  congested.congestion = true;
  EXPECT_FALSE(link.card->takes(congested));
  offer_buffers(4);
  EXPECT_TRUE(link.card->receive_large(frame, six)) << "lost";
  EXPECT_EQ(receive->used(), 0u);
}

TEST_F(NetTest, ReceivesLargeFramesInMergedBuffers) {
  start(kMergeable | kGuestSum | kGuestTcp4);
  offer_buffers(4);
  net::Frame frame = net::tcp4(net::payload_of(3500));
  const Offload offload = cut(frame, 1400);
  ASSERT_TRUE(link.card->receive_large(frame, offload));
  ASSERT_EQ(receive->used(), 3u);
  const net::OffloadBytes header = receive->get<net::OffloadBytes>(buffer(0));
  EXPECT_EQ(header, encode(offload, 54));
  EXPECT_EQ(receive->get<uint16_t>(buffer(0) + 10), 3u);
  std::vector<uint8_t> bytes(kBufferBytes);
  ASSERT_TRUE(memory->read(buffer(1), bytes.data(), bytes.size()));
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), frame.begin() + kBufferBytes - 12));
  ASSERT_TRUE(link.card->receive_large(net::tcp4({}), {.sum_valid = true}));
  EXPECT_EQ(receive->get<uint8_t>(buffer(3)), 2u) << "its checksum is right";
}

TEST_F(NetTest, AFrameForWhichTheQueueIsTooSmallIsLostAndItsBuffersAreNot) {
  start(kMergeable | kGuestSum | kGuestTcp4, 2);
  offer_buffers(2);
  net::Frame frame = net::tcp4(net::payload_of(9000));
  EXPECT_FALSE(link.card->receive_large(frame, cut(frame, 1400))) << "there might come more";
  EXPECT_TRUE(link.card->receive(net::Frame(100, 2)));
  EXPECT_TRUE(link.card->receive(net::Frame(100, 2)));
  EXPECT_EQ(receive->used(), 2u);
  EXPECT_EQ(status(), 15u);
}

TEST_F(NetTest, AFrameOfAPeerThatIsLongerThanAWireTakesIsLost) {
  start(0);
  receive->descriptor(0, kData, 1526, SplitDriver::kWrite);
  receive->offer(0);
  EXPECT_TRUE(link.card->receive(net::Frame(9000)));
  EXPECT_EQ(receive->used(), 0u);
  EXPECT_EQ(status(), 15u);
}

TEST_F(NetTest, ARestoredDriverIsAskedToAnnounceItself) {
  const uint64_t features = kStatus | kControl | kAnnounce;
  start(features);
  StateWriter saved;
  transport->save(saved);
  StateReader back(saved.bytes());
  transport->load(back);
  ASSERT_FALSE(back.failed());
  EXPECT_EQ(get_bar(kConfig + 6, 1), 1u) << "not before it runs";
  transport->release();
  EXPECT_EQ(get_bar(kConfig + 6, 1), 3u);
  EXPECT_EQ(local.acknowledge(), kConfigVector);
  EXPECT_EQ(command({3, 0}), 0);
  EXPECT_EQ(get_bar(kConfig + 6, 1), 1u);
}

TEST_F(NetTest, WhatItWasToldComesBackFromASnapshot) {
  start(kControl | kSetAddress | kModes | kVlans | kGuestSum | kGuestOffloads);
  EXPECT_EQ(command({1, 1, 2, 0, 0, 0, 0, 9}), 0);
  EXPECT_EQ(command({2, 0, 7, 0}), 0);
  EXPECT_EQ(command({0, 0, 0}), 0);
  EXPECT_EQ(command({5, 0, 0, 0, 0, 0, 0, 0, 0, 0}), 0);
  StateWriter saved;
  transport->save(saved);
  set_bar(0x14, 1, 0);
  EXPECT_EQ(get_bar(kConfig, 4), 0x1200'5452u) << "a reset gives it its own back";
  StateReader back(saved.bytes());
  transport->load(back);
  ASSERT_FALSE(back.failed());
  EXPECT_EQ(get_bar(kConfig, 4), 2u);
  EXPECT_FALSE(link.card->takes({.sum_missing = true}));
  offer_buffers(2);
  transport->release();
  EXPECT_TRUE(link.card->receive(to({2, 0, 0, 0, 0, 8})));
  EXPECT_EQ(receive->used(), 0u) << "not for it";
  EXPECT_TRUE(link.card->receive(to({2, 0, 0, 0, 0, 9}, 7)));
  EXPECT_EQ(receive->used(), 1u);
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
