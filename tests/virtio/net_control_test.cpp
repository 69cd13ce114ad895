// Commands on the control queue of the network device, and the frames that they keep from the guest.
#include "virtio/net_fixture.h"

namespace eidolon::device::virtio {
namespace {

using Command = std::vector<uint8_t>;

class NetControlTest : public NetTest {
 protected:
  static constexpr uint64_t kFiltering = kControl | kModes | kMoreModes | kVlans;
  static constexpr net::MacAddress kOwn = net::kFirstAddress, kOther = {2, 0, 0, 0, 0, 1},
                                   kGroup = {1, 0, 0x5e, 0, 0, 1},
                                   kAll = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  /// Whether the guest gets the frame.
  bool passes(const std::vector<uint8_t>& frame) {
    const uint16_t before = receive->used();
    receive->descriptor(0, buffer(0), kBufferBytes, SplitDriver::kWrite);
    if (!offered_) receive->offer(0);
    EXPECT_TRUE(link.card->receive(frame));
    offered_ = receive->used() == before;
    return !offered_;
  }

 private:
  bool offered_ = false;  ///< a buffer, that is still there
};

TEST_F(NetControlTest, UntilADriverSaysSomethingAllFramesPass) {
  start(kFiltering);
  for (const auto& address : {kOwn, kOther, kGroup, kAll}) EXPECT_TRUE(passes(to(address)));
}

TEST_F(NetControlTest, ModesSayWhichFramesPass) {
  start(kFiltering);
  const auto expect = [this](bool other, bool group, bool all, bool own) {
    EXPECT_EQ(passes(to(kOther)), other);
    EXPECT_EQ(passes(to(kGroup)), group);
    EXPECT_EQ(passes(to(kAll)), all);
    EXPECT_EQ(passes(to(kOwn)), own);
  };
  EXPECT_EQ(command({0, 0, 0}), 0);
  expect(false, false, true, true);
  EXPECT_EQ(command({0, 1, 1}), 0);  // all groups
  expect(false, true, true, true);
  EXPECT_EQ(command({0, 2, 1}), 0);  // all single ones
  expect(true, true, true, true);
  EXPECT_EQ(command({0, 3, 1}), 0);
  EXPECT_EQ(command({0, 4, 1}), 0);
  EXPECT_EQ(command({0, 5, 1}), 0);
  expect(false, false, false, false);
  EXPECT_EQ(command({0, 0, 1}), 0);  // promiscuous, which is before all others
  expect(true, true, true, true);
}

TEST_F(NetControlTest, TablesSayWhichAddressesPass) {
  start(kFiltering);
  Command tables = {1, 0, 1, 0, 0, 0};
  tables.insert(tables.end(), kOther.begin(), kOther.end());
  tables.insert(tables.end(), {1, 0, 0, 0});
  tables.insert(tables.end(), kGroup.begin(), kGroup.end());
  EXPECT_EQ(command(tables), 0);
  EXPECT_TRUE(passes(to(kOther)));
  EXPECT_TRUE(passes(to(kGroup)));
  EXPECT_FALSE(passes(to({2, 0, 0, 0, 0, 2})));
  EXPECT_FALSE(passes(to({1, 0, 0x5e, 0, 0, 2})));
  EXPECT_EQ(command({1, 0, 0, 0, 0, 0, 0, 0, 0, 0}), 0);
  EXPECT_FALSE(passes(to(kOther)));
}

TEST_F(NetControlTest, ATableThatIsTooLongLetsAllOfItsKindPass) {
  start(kFiltering);
  Command tables = {1, 0, 0, 0, 0, 0, NetFilter::kMostAddresses + 1, 0, 0, 0};
  tables.resize(tables.size() + 6 * (NetFilter::kMostAddresses + 1), 1);
  EXPECT_EQ(command(tables), 0);
  EXPECT_TRUE(passes(to(kGroup)));
  EXPECT_FALSE(passes(to(kOther)));
}

TEST_F(NetControlTest, OnlyVlansThatWereAddedPass) {
  start(kFiltering);
  EXPECT_FALSE(passes(to(kOwn, 7)));
  EXPECT_TRUE(passes(to(kOwn, 0x2000))) << "a priority is no VLAN";
  EXPECT_EQ(command({2, 0, 7, 0}), 0);
  EXPECT_TRUE(passes(to(kOwn, 7)));
  EXPECT_TRUE(passes(to(kOwn, 0xe007)));
  EXPECT_FALSE(passes(to(kOwn, 8)));
  EXPECT_EQ(command({2, 1, 7, 0}), 0);
  EXPECT_FALSE(passes(to(kOwn, 7)));
}

TEST_F(NetControlTest, ADriverThatDoesNotFilterVlansGetsThemAll) {
  start(kControl | kModes);
  EXPECT_TRUE(passes(to(kOwn, 7)));
}

TEST_F(NetControlTest, TheAddressCanBeSet) {
  start(kFiltering | kSetAddress);
  EXPECT_EQ(command({0, 0, 0}), 0);
  EXPECT_EQ(command({1, 1, 2, 0, 0, 0, 0, 1}), 0);
  EXPECT_EQ(get_bar(kConfig, 4), 2u);
  EXPECT_TRUE(passes(to(kOther)));
  EXPECT_FALSE(passes(to(kOwn)));
}

TEST_F(NetControlTest, OffloadsCanBeSwitchedOffAndOnAgain) {
  start(kControl | kGuestOffloads | kGuestSum | kGuestTcp4);
  const net::Offload large = {.sum_missing = true, .cut = net::Cut::kTcp4};
  EXPECT_TRUE(link.card->takes(large));
  EXPECT_EQ(command({5, 0, 2, 0, 0, 0, 0, 0, 0, 0}), 0);
  EXPECT_FALSE(link.card->takes(large));
  EXPECT_TRUE(link.card->takes({.sum_missing = true}));
  EXPECT_EQ(command({5, 0, 0x82, 0, 0, 0, 0, 0, 0, 0}), 0);
  EXPECT_TRUE(link.card->takes(large));
  EXPECT_EQ(command({5, 0, 0x82, 1, 0, 0, 0, 0, 0, 0}), 1) << "one that was not negotiated";
  EXPECT_EQ(command({5, 0, 0x83, 0, 0, 0, 0, 0, 0, 0}), 1) << "one that is not of the guest";
}

TEST_F(NetControlTest, CommandsThatAreNoneAreRefused) {
  start(kFiltering | kSetAddress | kAnnounce);
  for (const Command& wrong : std::vector<Command>{{0},
                                                   {0, 0},
                                                   {0, 0, 1, 1},
                                                   {0, 6, 1},
                                                   {1, 0},
                                                   {1, 0, 0, 0, 0, 0},
                                                   {1, 0, 1, 0, 0, 0, 2, 0, 0, 0},
                                                   {1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
                                                   {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                                                   {1, 1, 2, 0, 0, 0, 0},
                                                   {1, 2},
                                                   {2, 0, 7},
                                                   {2, 0, 0, 0x10},
                                                   {2, 2, 7, 0},
                                                   {3, 1},
                                                   {4, 0, 1, 0},
                                                   {5, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                                                   {6, 0},
                                                   {0xff, 0xff}})
    EXPECT_EQ(command(wrong), 1) << testing::PrintToString(wrong);
  EXPECT_TRUE(passes(to(kOther))) << "nothing was said";
  EXPECT_EQ(status(), 15u);
}

TEST_F(NetControlTest, WhatWasNotNegotiatedIsRefused) {
  start(kControl);
  for (const Command& wrong :
       std::vector<Command>{{0, 0, 0}, {0, 2, 1}, {1, 1, 2, 0, 0, 0, 0, 1}, {2, 0, 7, 0}, {3, 0}})
    EXPECT_EQ(command(wrong), 1) << testing::PrintToString(wrong);
}

TEST_F(NetControlTest, ACommandOutsideMemoryOrWithoutRoomForTheAnswerComesBack) {
  start(kFiltering);
  control->descriptor(0, 0xfffff000, 3, SplitDriver::kNext, 1);
  control->descriptor(1, kData, 1, SplitDriver::kWrite);
  control->descriptor(2, kData, 3, 0);
  control->offer(0);
  control->offer(2);
  notify(kControlQueue);
  EXPECT_EQ(control->used(), 2u);
  EXPECT_EQ(control->used_length(0), 1u);
  EXPECT_EQ(control->get<uint8_t>(kData), 1u);
  EXPECT_EQ(control->used_length(1), 0u);
  EXPECT_EQ(status(), 15u);
}

/// With two pairs of queues.
class NetPairsTest : public VirtioTest {
 protected:
  static constexpr uint64_t kControl = net_feature::kControl, kPairs = net_feature::kPairs;
  NetPairsTest() { put(net); }
  void start(uint64_t features) {
    use_messages(5);
    accept(kFeatureVersion1 | features);
    for (unsigned i = 0; i < 5; ++i) queues.push_back(make_queue(i));
    driver_ok();
    ASSERT_EQ(status(), 15u);
  }
  void set_pairs(uint8_t pairs, uint8_t answer) {
    SplitDriver& control = queues[4];
    control.put<uint32_t>(kData + 0x8000, 0x0000'0004u | uint32_t{pairs} << 16);
    control.put<uint8_t>(kData + 0x8010, 99);
    control.descriptor(0, kData + 0x8000, 4, SplitDriver::kNext, 1);
    control.descriptor(1, kData + 0x8010, 1, SplitDriver::kWrite);
    control.offer(0);
    notify(4);
    EXPECT_EQ(control.get<uint8_t>(kData + 0x8010), answer) << int{pairs};
  }
  /// A UDP packet of the connection between these ports.
  static std::vector<uint8_t> packet(uint8_t from, uint8_t to) {
    std::vector<uint8_t> frame(60);
    const std::vector<uint8_t> ip = {8,  0, 0x45, 0,    0,  46, 0, 0,  0, 0,    64, 17, 0, 0,
                                     10, 0, 0,    from, 10, 0,  0, to, 0, from, 0,  to, 0, 26};
    std::ranges::copy(ip, frame.begin() + 12);
    return frame;
  }
  void send(unsigned pair, const std::vector<uint8_t>& frame) {
    SplitDriver& queue = queues[2 * pair + 1];
    const GuestPhysical at = kData + 0x9000 + 0x1000 * pair;
    ASSERT_TRUE(memory->write(at + 12, frame.data(), frame.size()));
    queue.descriptor(0, at, static_cast<uint32_t>(12 + frame.size()), 0);
    queue.offer(0);
  }
  void offer_buffers() {
    for (unsigned pair = 0; pair < 2; ++pair)
      for (uint16_t i = 0; i < 4; ++i) {
        queues[2 * pair].descriptor(i, kData + 0x4000 * pair + 0x800 * i, 1526, SplitDriver::kWrite);
        queues[2 * pair].offer(i);
      }
  }

  net::FakeLink link;
  Net net{"net", link, net::kFirstAddress, 2};
  std::vector<SplitDriver> queues;
};

TEST_F(NetPairsTest, TheDriverIsToldHowManyThereAre) {
  EXPECT_EQ(get_bar(kConfig + 8, 2), 2u);
  EXPECT_EQ(get_bar(0x12, 2), 5u) << "and their queues, and one for commands";
}

TEST_F(NetPairsTest, OnlyTheFirstIsInUseUntilTheDriverSaysOtherwise) {
  start(kControl | kPairs);
  std::vector<uint8_t> frame;
  send(1, packet(1, 2));
  EXPECT_FALSE(link.card->next_frame(frame));
  set_pairs(2, 0);
  EXPECT_TRUE(link.card->next_frame(frame));
  EXPECT_EQ(frame, packet(1, 2));
}

TEST_F(NetPairsTest, APacketComesInWhereItsConnectionSendsFrom) {
  start(kControl | kPairs);
  set_pairs(2, 0);
  offer_buffers();
  std::vector<uint8_t> frame;
  send(1, packet(1, 2));
  send(0, packet(1, 9));
  ASSERT_TRUE(link.card->next_frame(frame));
  ASSERT_TRUE(link.card->next_frame(frame));
  EXPECT_TRUE(link.card->receive(packet(2, 1)));
  EXPECT_EQ(queues[2].used(), 1u);
  EXPECT_TRUE(link.card->receive(packet(9, 1)));
  EXPECT_TRUE(link.card->receive(std::vector<uint8_t>(60))) << "of nobody";
  EXPECT_EQ(queues[0].used(), 2u);
  set_pairs(1, 0);
  EXPECT_TRUE(link.card->receive(packet(2, 1)));
  EXPECT_EQ(queues[0].used(), 3u) << "the other one is not in use any more";
}

TEST_F(NetPairsTest, NumbersThatCannotBeAreRefused) {
  start(kControl | kPairs);
  set_pairs(0, 1);
  set_pairs(3, 1);
}

TEST_F(NetPairsTest, WithoutTheFeatureCommandsComeBehindTheFirst) {
  start(kControl);
  queues[2].put<uint16_t>(kData, 0xffff);
  queues[2].descriptor(0, kData, 2, SplitDriver::kNext, 1);
  queues[2].descriptor(1, kData + 16, 1, SplitDriver::kWrite);
  queues[2].offer(0);
  notify(2);
  EXPECT_EQ(queues[2].used(), 1u);
}

}  // namespace
}  // namespace eidolon::device::virtio
