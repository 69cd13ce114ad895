// What the card receives: filters, buffers, checksums, tags, and drivers that do it wrong.
#include "device/net/e1000_receive.h"

#include "net/fixture.h"

namespace eidolon::device::net {
namespace {

class ReceiveTest : public E1000Test {
 protected:
  static constexpr uint8_t kDone = 1, kEnd = 2, kIgnore = 4, kTagged = 8, kTcpChecked = 0x20,
                           kIpChecked = 0x40;
  bool takes(const Frame& frame) {
    const uint32_t head = get(kRdbal + kHead);
    EXPECT_TRUE(link.card->receive(frame));
    const bool taken = get(kRdbal + kHead) != head;
    set(kRdbal + kTail, (get(kRdbal + kHead) + kEntries - 1) % kEntries);
    return taken;
  }
  /// UDP over IPv4 to the card, with good sums.
  static Frame udp(size_t payload) {
    Frame frame = own_frame(42 + payload);
    put_16(frame, 12, 0x0800);
    const std::vector<uint8_t> ip = {0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 2, 2, 10, 0, 2, 15};
    std::ranges::copy(ip, frame.begin() + 14);
    put_16(frame, 16, 28 + payload);
    put_16(frame, 24, static_cast<uint16_t>(~internet_sum(Bytes(frame).subspan(14, 20))));
    put_16(frame, 38, 8 + payload);
    put_16(frame, 40, 0);
    const auto packet = find_transport(frame);
    put_16(frame, 40, static_cast<uint16_t>(~internet_sum(Bytes(frame).subspan(34), packet->pseudo)));
    return frame;
  }
};

TEST_F(ReceiveTest, AFrameGoesIntoABuffer) {
  start_receiver();
  set(kIms, 0x80);
  const Frame frame = own_frame(101);
  EXPECT_TRUE(link.card->receive(frame));
  EXPECT_EQ(receive_length(0), 101u);
  EXPECT_EQ(receive_status(0), kDone | kEnd | kIgnore);
  EXPECT_EQ(receive_errors(0), 0u);
  EXPECT_EQ(bytes_at(kBuffers, 101), frame);
  EXPECT_EQ(get(kRdbal + kHead), 1u);
  EXPECT_EQ(get(kIcr), 0x80u);
}

TEST_F(ReceiveTest, TheChecksumBehindItIsThatOfTheWire) {
  start_receiver();
  set(kRctl, kReceiveOn & ~(1u << 26));
  const Frame frame = own_frame(40);
  EXPECT_TRUE(link.card->receive(frame));
  EXPECT_EQ(receive_length(0), 64u);
  // Over all of it, checksum included, the remainder is always the same.
  EXPECT_EQ(frame_check(bytes_at(kBuffers, 64)), 0x2144df1cu);
  EXPECT_EQ(bytes_at(kBuffers + 40, 20), Frame(20)) << "padding";
}

TEST_F(ReceiveTest, ALongFrameIsSpreadOverSmallBuffers) {
  start_receiver(3u << 16);  // 256 bytes
  const Frame frame = own_frame(600);
  EXPECT_TRUE(link.card->receive(frame));
  EXPECT_EQ(receive_length(0), 256u);
  EXPECT_EQ(receive_status(0), kDone);
  EXPECT_EQ(receive_status(1), kDone);
  EXPECT_EQ(receive_length(2), 600u - 512);
  EXPECT_EQ(receive_status(2), kDone | kEnd | kIgnore);
  EXPECT_EQ(bytes_at(kBuffers + 0x1000, 88), Frame(frame.begin() + 512, frame.end()));
}

TEST_F(ReceiveTest, AFrameWaitsUntilThereIsRoomForAllOfIt) {
  start_receiver(3u << 16);
  set(kRdbal + kTail, 2);
  const Frame frame = own_frame(600);
  link.wakes = 0;
  EXPECT_FALSE(link.card->receive(frame));
  EXPECT_FALSE(link.card->receive(frame));
  EXPECT_EQ(received(0), 0u);
  EXPECT_EQ(get(0x40a0), 1u) << "counted once";
  set(kRdbal + kTail, 3);
  EXPECT_EQ(link.wakes, 1u);
  EXPECT_TRUE(link.card->receive(frame));
  set(kRdbal + kTail, 4);
  EXPECT_EQ(link.wakes, 1u) << "nobody waits";
}

TEST_F(ReceiveTest, TheDriverIsToldWhenBuffersGetFew) {
  start_receiver(2u << 8);  // an eighth
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(link.card->receive(own_frame(60)));
  EXPECT_EQ(get(kIcr) & 0x10, 0u);
  EXPECT_TRUE(link.card->receive(own_frame(60)));
  EXPECT_EQ(get(kIcr) & 0x10, 0x10u);
}

TEST_F(ReceiveTest, FiltersAddresses) {
  start_receiver();
  const MacAddress other = {0x52, 0x54, 0, 1, 2, 3}, group = {1, 0, 0x5e, 0, 0, 1};
  const MacAddress all = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  EXPECT_TRUE(takes(own_frame(60)));
  EXPECT_TRUE(takes(frame_to(all, 60)));
  EXPECT_FALSE(takes(frame_to(other, 60)));
  EXPECT_FALSE(takes(frame_to(group, 60)));
  set(kRctl, kReceiveOn & ~(1u << 15));
  EXPECT_FALSE(takes(frame_to(all, 60)));
  set(kRctl, kReceiveOn | 1u << 3);
  EXPECT_TRUE(takes(frame_to(other, 60)));
  EXPECT_FALSE(takes(frame_to(group, 60)));
  set(kRctl, kReceiveOn | 1u << 4);
  EXPECT_FALSE(takes(frame_to(other, 60)));
  EXPECT_TRUE(takes(frame_to(group, 60)));
  set(kRctl, kReceiveOn);
  set(kRal + 8, 0x01005452);
  set(kRal + 12, 0x80000302);
  EXPECT_TRUE(takes(frame_to(other, 60))) << "a second address";
  set(kRal + 12, 0x00000302);
  EXPECT_FALSE(takes(frame_to(other, 60)));
}

TEST_F(ReceiveTest, HashesAddressesOfGroups) {
  start_receiver();
  const Frame frame = frame_to({1, 0, 0x5e, 0, 0x12, 0xa5}, 60);
  // Bits 47:36 of the address, 46:35, 45:34, 43:32.
  constexpr std::array<unsigned, 4> kHashes = {0xa51, 0x4a2, 0x944, 0x512};
  for (uint32_t offset = 0; offset < 4; ++offset) {
    SCOPED_TRACE(offset);
    set(kRctl, kReceiveOn | offset << 12);
    EXPECT_FALSE(takes(frame));
    set(kMta + 4 * (kHashes[offset] >> 5), 1u << (kHashes[offset] & 31));
    EXPECT_TRUE(takes(frame));
    set(kMta + 4 * (kHashes[offset] >> 5), 0);
  }
}

TEST_F(ReceiveTest, TagsAreTakenOutAndFiltered) {
  start_receiver();
  Frame frame = own_frame(100);
  put_16(frame, 12, 0x8100);
  put_16(frame, 14, 0x2123);
  EXPECT_TRUE(takes(frame));
  EXPECT_EQ(receive_length(0), 100u) << "as it is";
  set(kCtrl, 1u << 30);
  EXPECT_TRUE(takes(frame));
  EXPECT_EQ(receive_length(1), 96u);
  EXPECT_NE(receive_status(1) & kTagged, 0);
  EXPECT_EQ(received(1) >> 48, 0x2123u);
  EXPECT_EQ(peek<uint8_t>(kBuffers + 0x800 + 12), 16);
  set(kRctl, kReceiveOn | 1u << 18);
  EXPECT_FALSE(takes(frame));
  set(kVfta + 4 * (0x123 >> 5), 1u << (0x123 & 31));
  EXPECT_TRUE(takes(frame));
  set(kRctl, kReceiveOn | 1u << 18 | 1u << 19 | 1u << 20);
  EXPECT_FALSE(takes(frame)) << "its CFI is another";
  EXPECT_TRUE(takes(own_frame(60))) << "without a tag";
}

TEST_F(ReceiveTest, ChecksumsAreCheckedWhenThatIsAskedFor) {
  start_receiver();
  set(kRxcsum, 1u << 8 | 1u << 9);
  Frame frame = udp(33);
  EXPECT_TRUE(takes(frame));
  EXPECT_EQ(receive_status(0), kDone | kEnd | kIpChecked | kTcpChecked);
  EXPECT_EQ(receive_errors(0), 0u);
  frame[50] ^= 1;
  EXPECT_TRUE(takes(frame));
  EXPECT_EQ(receive_errors(1), 0x20u);
  frame = udp(33);
  frame[22] ^= 1;
  EXPECT_TRUE(takes(frame));
  EXPECT_EQ(receive_errors(2), 0x40u);
  EXPECT_TRUE(takes(own_frame(60)));
  EXPECT_EQ(receive_status(3), kDone | kEnd | kIgnore) << "no packet";
  frame = udp(33);
  put_16(frame, 40, 0);
  EXPECT_TRUE(takes(frame));
  EXPECT_EQ(receive_status(4), kDone | kEnd | kIpChecked) << "UDP without one";
}

TEST_F(ReceiveTest, ThePacketSumBeginsWhereItIsTold) {
  start_receiver();
  set(kRxcsum, 14);
  const Frame frame = own_frame(90);
  EXPECT_TRUE(takes(frame));
  EXPECT_EQ(received(0) >> 16 & 0xffff, internet_sum(Bytes(frame).subspan(14)));
  set(kRxcsum, 255);
  EXPECT_TRUE(takes(frame));
  EXPECT_EQ(received(1) >> 16 & 0xffff, 0u);
}

TEST_F(ReceiveTest, LengthsThatCannotBeAreDropped) {
  start_receiver(1u << 3);
  EXPECT_FALSE(takes(Frame(13)));
  EXPECT_FALSE(takes({}));
  EXPECT_FALSE(takes(Frame(1519)));
  EXPECT_TRUE(takes(Frame(1518)));
  set(kRctl, kReceiveOn | 1u << 3 | 1u << 5);
  EXPECT_TRUE(takes(Frame(9000)));
  EXPECT_FALSE(takes(Frame(20000)));
}

TEST_F(ReceiveTest, NobodyListens) {
  EXPECT_TRUE(link.card->receive(own_frame(60)));
  start_receiver();
  set(kRctl, kReceiveOn & ~2u);
  EXPECT_TRUE(link.card->receive(own_frame(60)));
  set(kRctl, kReceiveOn);
  write(kSlot, pci::kCommand, 2, 3);
  EXPECT_TRUE(link.card->receive(own_frame(60)));
  write(kSlot, pci::kCommand, 2, 7);
  set_phy(0, 0x1940);
  EXPECT_TRUE(link.card->receive(own_frame(60)));
  EXPECT_EQ(get(kRdbal + kHead), 0u);
}

TEST_F(ReceiveTest, RingsThatCannotBeLoseFrames) {
  start_receiver();
  const auto lost = [this] {
    EXPECT_TRUE(link.card->receive(own_frame(60)));
    EXPECT_EQ(get(0x4010), 1u);
  };
  set(kRdbal + kLength, 0);
  lost();
  set(kRdbal + kLength, 128);
  set(kRdbal + kTail, 8);
  lost();
  set(kRdbal + kTail, 7);
  set(kRdbal + kHead, 0xffff);
  lost();
  set(kRdbal + kHead, 0);
  set(kRdbal, 0xf0000000);
  lost();
  set(kRdbal, kReceive);
  set(kRctl, kReceiveOn | 3u << 16 | 1u << 3 | 1u << 5);
  EXPECT_TRUE(link.card->receive(Frame(9000))) << "more than all of the ring";
  EXPECT_EQ(get(0x4010), 1u);
  EXPECT_TRUE(takes(own_frame(60)));
}

TEST_F(ReceiveTest, ABufferOutsideMemoryIsAnError) {
  start_receiver();
  poke<uint64_t>(kReceive, 0x90000000);
  EXPECT_TRUE(takes(own_frame(60)));
  EXPECT_EQ(receive_errors(0), 0x80u);
  EXPECT_TRUE(takes(own_frame(60)));
  EXPECT_EQ(receive_errors(1), 0u);
}

}  // namespace
}  // namespace eidolon::device::net
