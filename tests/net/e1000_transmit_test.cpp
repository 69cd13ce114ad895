// What the card sends: descriptors of all kinds, checksums, segments, tags, and drivers that do it wrong.
#include "device/net/e1000_transmit.h"

#include "net/fixture.h"

namespace eidolon::device::net {
namespace {

class TransmitTest : public E1000Test {
 protected:
  static constexpr size_t kIp = 14, kTransport = 34, kTcpPayload = 54;

  TransmitTest() {
    start_transmitter();
    EXPECT_TRUE(sent().empty());
  }
  /// A packet of TCP over IPv4 at kData, with fields that a driver prepares for the card.
  void put_tcp(size_t payload, uint16_t transport_sum) {
    Frame frame(kTcpPayload + payload);
    const std::vector<uint8_t> head = {
        0x52, 0x55, 10,   0, 2,    2,    0x52, 0x54, 0,  0x12, 0x34, 0x56, 8,    0, 0x45, 0, 0,    0,
        0x12, 0xff, 0x40, 0, 64,   6,    0,    0,    10, 0,    2,    15,   10,   0, 2,    2, 0x80, 0,
        0,    80,   0,    0, 0xff, 0xf0, 0,    0,    0,  9,    0x50, 0x19, 0x20, 0, 0,    0, 0,    0};
    std::ranges::copy(head, frame.begin());
    put_16(frame, kIp + 2, frame.size() - kIp);
    put_16(frame, kTransport + 16, transport_sum);
    for (size_t i = 0; i < payload; ++i) frame[kTcpPayload + i] = static_cast<uint8_t>(i * 7);
    ASSERT_TRUE(memory->write(kData, frame.data(), frame.size()));
  }
  static uint16_t pseudo_without_length() {
    return internet_sum(std::vector<uint8_t>{10, 0, 2, 15, 10, 0, 2, 2}, 6);
  }
  /// `segment`: bytes in each; 0: checksums only.
  void context(uint16_t segment, uint32_t payload, uint32_t kind = 3u << 24) {
    const uint64_t offsets = kIp | (kIp + 10) << 8 | (kTransport - 1) << 16 | uint64_t{kTransport} << 32 |
                             uint64_t{kTransport + 16} << 40;
    describe(offsets, kExtended | kind | payload | (segment != 0 ? kSegment : 0),
             uint32_t{segment} << 16 | kTcpPayload << 8);
  }
  static void expect_good_sums(const Frame& frame) {
    const auto packet = find_transport(frame);
    ASSERT_TRUE(packet);
    EXPECT_EQ(internet_sum(Bytes(frame).subspan(packet->ip_at, packet->ip_header)), 0xffff);
    EXPECT_EQ(internet_sum(Bytes(frame).subspan(packet->at, packet->end - packet->at), packet->pseudo),
              0xffff);
  }
};

TEST_F(TransmitTest, SendsAFrameThatIsInTwoBuffers) {
  poke<uint64_t>(kData, 0x8877665544332211);
  describe(kData, 20);
  describe(kData + 0x100, 80 | kEop | kReport);
  link.wakes = 0;
  send();
  EXPECT_EQ(link.wakes, 1u);
  send();
  EXPECT_EQ(link.wakes, 1u) << "the thread is awake";
  set(kIms, 1);
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].size(), 100u);
  EXPECT_EQ(frames[0][1], 0x22);
  EXPECT_EQ(transmit_status(0), 0u) << "was not asked for";
  EXPECT_EQ(transmit_status(1), 1u);
  EXPECT_EQ(get(kTdbal + kHead), 2u);
  EXPECT_EQ(get(kIcr) & 3, 3u) << "done, and empty";
  send();
  EXPECT_EQ(link.wakes, 2u);
}

TEST_F(TransmitTest, ShortFramesArePadded) {
  describe(kData, 20 | kEop);
  send();
  EXPECT_EQ(sent().at(0).size(), 60u);
  set(kTctl, 2);
  describe(kData, 20 | kEop);
  send();
  EXPECT_EQ(sent().at(0).size(), 20u);
}

TEST_F(TransmitTest, ALegacyDescriptorInsertsOneSum) {
  put_tcp(7, internet_sum(std::vector<uint8_t>{10, 0, 2, 15, 10, 0, 2, 2}, 6 + 27));
  describe(kData, static_cast<uint32_t>(kTcpPayload + 7) | kEop | kSum | (kTransport + 16) << 16,
           kTransport << 8);
  send();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  const auto packet = find_transport(frames[0]);
  EXPECT_EQ(internet_sum(Bytes(frames[0]).subspan(kTransport, 27), packet->pseudo), 0xffff);
}

TEST_F(TransmitTest, AContextSaysWhereSumsGo) {
  put_tcp(101, internet_sum(std::vector<uint8_t>{10, 0, 2, 15, 10, 0, 2, 2}, 6 + 121));
  context(0, 0);
  describe(kData, kData20 | 30, 3 << 8);
  describe(kData + 30, kData20 | static_cast<uint32_t>(kTcpPayload + 101 - 30) | kEop | kReport);
  send();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].size(), kTcpPayload + 101);
  expect_good_sums(frames[0]);
}

TEST_F(TransmitTest, ALongPacketIsCutIntoSegments) {
  put_tcp(2500, pseudo_without_length());
  context(1000, 2500);
  // Cut at odd places: within the header, and not where segments begin.
  describe(kData, kData20 | kSegment | 40, 3 << 8);
  describe(kData + 40, kData20 | kSegment | 1500, 0);
  describe(kData + 1540, kData20 | kSegment | (kTcpPayload + 2500 - 1540) | kEop | kReport, 0);
  send();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 3u);
  const std::array<size_t, 3> payloads = {1000, 1000, 500};
  for (size_t i = 0; i < 3; ++i) {
    SCOPED_TRACE(i);
    const Frame& frame = frames[i];
    ASSERT_EQ(frame.size(), kTcpPayload + payloads[i]);
    EXPECT_EQ(get_16(frame, kIp + 2), frame.size() - kIp);
    EXPECT_EQ(get_16(frame, kIp + 4), 0x12ff + i) << "identification";
    EXPECT_EQ(get_32(frame, kTransport + 4), 0xfff0u + 1000 * i) << "sequence";
    EXPECT_EQ(frame[kTransport + 13], i == 2 ? 0x19 : 0x10) << "FIN and PSH in the last one only";
    EXPECT_EQ(frame[kTcpPayload], static_cast<uint8_t>(1000 * i * 7));
    EXPECT_EQ(frame.back(), static_cast<uint8_t>((1000 * i + payloads[i] - 1) * 7));
    expect_good_sums(frame);
  }
  EXPECT_EQ(transmit_status(3), 1u);
  EXPECT_EQ(get(0x40f8), 1u);
}

TEST_F(TransmitTest, SegmentsThatComeOutEvenEndWithTheLast) {
  put_tcp(2000, pseudo_without_length());
  context(1000, 2000);
  describe(kData, kData20 | kSegment | kEop | (kTcpPayload + 2000), 3 << 8);
  send();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[1][kTransport + 13], 0x19);
}

TEST_F(TransmitTest, APacketThatEndsTooSoonOrTooLateIsCutAsFarAsItGoes) {
  put_tcp(2500, pseudo_without_length());
  context(1000, 2500);
  describe(kData, kData20 | kSegment | kEop | (kTcpPayload + 1200), 3 << 8);
  context(1000, 1100);
  describe(kData, kData20 | kSegment | kEop | (kTcpPayload + 2500), 3 << 8);
  send();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames[1].size(), kTcpPayload + 200);
  EXPECT_EQ(frames[1][kTransport + 13], 0x19);
  EXPECT_EQ(frames[3].size(), kTcpPayload + 100);
}

TEST_F(TransmitTest, UdpAndIpv6HaveTheirOwnLengths) {
  Frame frame(62 + 1500);
  put_16(frame, 12, 0x86dd);
  frame[14] = 0x60;
  frame[14 + 6] = kUdp;
  ASSERT_TRUE(memory->write(kData, frame.data(), frame.size()));
  describe(14 | uint64_t{54} << 32 | uint64_t{60} << 40, kExtended | kSegment | 1500, 1000u << 16 | 62u << 8);
  describe(kData, kData20 | kSegment | kEop | (62 + 1500), 2 << 8);
  send();
  const auto frames = sent();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(get_16(frames[1], 14 + 4), 508u) << "payload of IPv6";
  EXPECT_EQ(get_16(frames[1], 54 + 4), 508u) << "length of UDP";
  const auto packet = find_transport(frames[1]);
  ASSERT_TRUE(packet);
  // The pseudo header has no length in the field that the driver wrote, which was zero: the card has added
  // it.
  EXPECT_EQ(internet_sum(Bytes(frames[1]).subspan(54), 508), 0xffff);
}

TEST_F(TransmitTest, TagsAreInsertedIfTheCardIsToldSo) {
  describe(kData, 60 | kEop | kTag, 0x2123u << 16);
  send();
  EXPECT_EQ(sent().at(0).size(), 60u);
  set(kCtrl, 1u << 30);
  poke<uint64_t>(kData + 8, 0x0008'0000'0000'0000);
  describe(kData, 60 | kEop | kTag, 0x2123u << 16);
  send();
  const auto frames = sent();
  ASSERT_EQ(frames.at(0).size(), 64u);
  EXPECT_EQ(get_32(frames[0], 12), 0x81002123u);
}

TEST_F(TransmitTest, ContextsReportToo) {
  context(0, 0, 3u << 24 | kReport);
  send();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(transmit_status(0), 1u);
}

TEST_F(TransmitTest, WhatCannotBeAFrameIsDropped) {
  describe(kData, 1519 | kEop | kReport);     // too long
  describe(kData, 13 | kEop | kReport);       // too short
  describe(0x90000000, 60 | kEop | kReport);  // nowhere
  describe(kData, 0 | kEop | kReport);        // nothing
  context(0x4000, 0x8000);                    // segments that are no frames
  describe(kData, kData20 | kSegment | kEop | kReport | 0x9000, 3 << 8);
  send();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(get(kTdbal + kHead), 6u);
  for (const unsigned index : {0u, 1u, 2u, 3u, 5u}) EXPECT_EQ(transmit_status(index), 1u) << index;
  describe(kData, 60 | kEop);
  send();
  EXPECT_EQ(sent().size(), 1u) << "it goes on";
}

TEST_F(TransmitTest, RingsThatCannotBeAreLeftAlone) {
  const auto try_ring = [this](uint32_t base, uint32_t length, uint32_t head, uint32_t new_tail) {
    set(kTdbal, base);
    set(kTdbal + kLength, length);
    set(kTdbal + kHead, head);
    set(kTdbal + kTail, new_tail);
    EXPECT_TRUE(sent().empty());
    EXPECT_EQ(get(kTdbal + kHead), head);
  };
  describe(kData, 60 | kEop);
  try_ring(kTransmit, 0, 0, 1);
  try_ring(kTransmit, 128, 0, 8);
  try_ring(kTransmit, 128, 9, 1);
  try_ring(kTransmit, 128, 0xffff, 0xfffe);
  try_ring(0xf0000000, 128, 0, 1);
  set(kTdbal, kTransmit);
  set(kTdbal + kHead, 0);
  set(kTdbal + kTail, 1);
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(TransmitTest, APacketWithoutEndIsLookedAtInParts) {
  // 65,535 descriptors of zeroes: no frame, no end.
  set(kTdbal, 0);
  set(kTdbal + kLength, 0xfff80);
  set(kTdbal + kHead, 0x8000);
  set(kTdbal + kTail, 0x7fff);
  link.wakes = 0;
  Frame frame;
  EXPECT_FALSE(link.card->next_frame(frame));
  EXPECT_EQ(link.wakes, 1u) << "it is to be asked again";
  EXPECT_EQ(get(kTdbal + kHead), 0x8100u);
}

TEST_F(TransmitTest, NothingIsSentWithoutLinkBusOrPermission) {
  describe(kData, 60 | kEop);
  send();
  set_phy(0, 0x1940);
  EXPECT_TRUE(sent().empty());
  link.wakes = 0;
  set_phy(0, 0x1140);
  EXPECT_EQ(link.wakes, 1u);
  write(kSlot, pci::kCommand, 2, 3);
  EXPECT_TRUE(sent().empty());
  write(kSlot, pci::kCommand, 2, 7);
  EXPECT_EQ(link.wakes, 2u);
  set(kTctl, 0);
  EXPECT_TRUE(sent().empty());
  set(kTctl, kTransmitOn);
  EXPECT_EQ(link.wakes, 3u);
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(TransmitTest, ASnapshotWithinAPacketGoesOnThere) {
  put_tcp(2500, pseudo_without_length());
  context(1000, 2500);
  describe(kData, kData20 | kSegment | kEop | (kTcpPayload + 2500), 3 << 8);
  send();
  Frame frame;
  ASSERT_TRUE(link.card->next_frame(frame));
  StateWriter writer;
  card.save(writer);
  const auto expected = sent();
  StateReader reader(writer.bytes());
  card.load(reader);
  ASSERT_FALSE(reader.failed());
  const auto again = sent();
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again, expected);
}

TEST_F(TransmitTest, LoopedBackFramesComeBackAndGoNowhere) {
  start_receiver(1u << 6);
  const Frame frame = own_frame(80);
  ASSERT_TRUE(memory->write(kData, frame.data(), frame.size()));
  describe(kData, 80 | kEop);
  send();
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(receive_length(0), 80u);
  EXPECT_EQ(bytes_at(kBuffers, 80), frame);
  EXPECT_TRUE(link.card->receive(frame)) << "lost";
  EXPECT_EQ(get(kRdbal + kHead), 1u);
}

}  // namespace
}  // namespace eidolon::device::net
