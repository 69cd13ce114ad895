// An NE2000 as its drivers use it: probing, the address PROM, the ring, sending, and drivers that do it
// wrong.
#include "device/net/ne2000.h"

#include "net/fake_link.h"
#include "net/packets.h"
#include "pci/fixture.h"

namespace eidolon::device::net {
namespace {

/// The card by its ports alone.
class Ne2000Test : public testing::Test {
 protected:
  // Registers of page 0, and of page 1 with their own names.
  static constexpr unsigned kCommand = 0, kFirstPage = 1, kEndPage = 2, kBoundary = 3, kTransmitPage = 4,
                            kTransmitBytes = 5, kInterrupts = 7, kRemoteStart = 8, kRemoteBytes = 10,
                            kReceive = 12, kTransmit = 13, kData = 14, kMask = 15;
  static constexpr unsigned kCurrent = 7, kDataPort = 0x10, kResetPort = 0x1f;
  static constexpr uint8_t kStart = 0x22, kStop = 0x21, kPage1 = 0x40, kSend = 0x26, kRead = 0x0a,
                           kWrite = 0x12;
  static constexpr uint8_t kFirst = 0x46, kEnd = 0x80;

  uint32_t get(unsigned port, unsigned size = 1) { return static_cast<uint32_t>(card.io_read(port, size)); }
  void set(unsigned port, uint32_t value, unsigned size = 1) { card.io_write(port, size, value); }
  void remote(uint8_t command, uint16_t at, uint16_t bytes) {
    set(kRemoteStart, at, 2);
    set(kRemoteBytes, bytes, 2);
    set(kCommand, command);
  }
  Frame read_memory(uint16_t at, uint16_t bytes) {
    remote(kRead, at, bytes);
    Frame frame;
    for (uint16_t i = 0; i < bytes; i += 2) {
      const uint32_t word = get(kDataPort, 2);
      frame.push_back(static_cast<uint8_t>(word));
      frame.push_back(static_cast<uint8_t>(word >> 8));
    }
    frame.resize(bytes);
    return frame;
  }
  void write_memory(uint16_t at, const Frame& bytes) {
    remote(kWrite, at, static_cast<uint16_t>(bytes.size()));
    for (size_t i = 0; i < bytes.size(); i += 2)
      set(kDataPort, bytes[i] | (i + 1 < bytes.size() ? bytes[i + 1] << 8 : 0), 2);
  }
  /// As drivers do it.
  void start(uint8_t accepts = 4) {
    set(kCommand, kStop);
    set(kData, 0x49);
    set(kReceive, accepts);
    set(kTransmit, 0);
    set(kTransmitPage, 0x40);
    set(kFirstPage, kFirst);
    set(kEndPage, kEnd);
    set(kBoundary, kEnd - 1);
    set(kInterrupts, 0xff);
    set(kMask, 0x3f);
    set(kCommand, kStop | kPage1);
    for (unsigned i = 0; i < 6; ++i) set(1 + i, kFirstAddress[i]);
    set(kCurrent, kFirst);
    set(kCommand, kStart);
  }
  uint8_t current() {
    set(kCommand, kStart | kPage1);
    const auto page = static_cast<uint8_t>(get(kCurrent));
    set(kCommand, kStart);
    return page;
  }
  static Frame frame_to(const MacAddress& address, size_t bytes = 100) {
    Frame frame = payload_of(bytes);
    std::ranges::copy(address, frame.begin());
    return frame;
  }

  FakeLink link;
  bool level = false;
  Ne2000 card{link, kFirstAddress, [this](bool wanted) { level = wanted; }};
};

TEST_F(Ne2000Test, IsFoundAsLinuxLooksForIt) {
  EXPECT_NE(get(0), 0xffu);
  set(kCommand, kStop | kPage1);
  set(13, 0xff);
  set(kCommand, kStop);
  (void)get(13);
  EXPECT_EQ(get(13), 0u) << "a counter that was read is zero";
  (void)get(kResetPort);
  EXPECT_EQ(get(kInterrupts) & 0x80, 0x80u);
}

TEST_F(Ne2000Test, ThePromHasEachByteTwiceAndTwoLetters) {
  set(kCommand, kStop);
  set(kData, 0x48);  // bytes
  remote(kRead, 0, 32);
  Frame bytes;
  for (int i = 0; i < 32; ++i) bytes.push_back(static_cast<uint8_t>(get(kDataPort)));
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(bytes[2 * i], kFirstAddress[i]);
  for (size_t i = 0; i < 32; i += 2) EXPECT_EQ(bytes[i], bytes[i + 1]);
  EXPECT_EQ(bytes[28], 'W');
  EXPECT_EQ(bytes[30], 'W');
  EXPECT_EQ(get(kInterrupts) & 0x40, 0x40u) << "that was all";
  set(kData, 0x49);  // words: a driver that reads bytes gets one of each
  remote(kRead, 0, 32);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(get(kDataPort), kFirstAddress[i]);
}

TEST_F(Ne2000Test, MemoryIsReadAndWrittenThroughThePort) {
  start();
  write_memory(0x4000, payload_of(300));
  EXPECT_EQ(get(kInterrupts), 0x40u);
  set(kInterrupts, 0x40);
  EXPECT_EQ(get(kInterrupts), 0u);
  EXPECT_EQ(read_memory(0x4000, 300), payload_of(300));
  remote(kRead, 0x4000, 8);
  EXPECT_EQ(get(kDataPort, 4), 0x150e'0700u) << "in pieces of four, too";
  remote(kWrite, 0x4004, 4);
  set(kDataPort, 0x11223344, 4);
  EXPECT_EQ(read_memory(0x4002, 4), (Frame{14, 21, 0x44, 0x33}));
  EXPECT_EQ(get(kDataPort, 2), 0xffffu) << "beyond what was asked for";
  EXPECT_EQ(read_memory(0x2000, 2), (Frame{0xff, 0xff})) << "where there is none";
  EXPECT_EQ(read_memory(0x8000, 2), (Frame{0xff, 0xff}));
}

TEST_F(Ne2000Test, AnEmptyTransferIsOverAtOnce) {
  start();
  set(kMask, 0x50);
  EXPECT_FALSE(level);
  remote(kRead, 0, 0);
  EXPECT_TRUE(level) << "by which drivers look for the interrupt's number";
  set(kMask, 0);
  EXPECT_FALSE(level);
}

TEST_F(Ne2000Test, SendsAFrame) {
  start();
  const Frame frame = frame_to(kFirstAddress, 301);
  write_memory(0x4000, frame);
  set(kInterrupts, 0xff);
  set(kTransmitBytes, 301, 2);
  link.wakes = 0;
  set(kCommand, kSend);
  EXPECT_EQ(link.wakes, 1u);
  EXPECT_EQ(get(kCommand), kSend) << "under way";
  Frame out;
  ASSERT_TRUE(link.card->next_frame(out));
  EXPECT_EQ(out, frame);
  EXPECT_EQ(get(kCommand), kStart);
  EXPECT_EQ(get(kInterrupts), 2u);
  EXPECT_EQ(get(kTransmitPage), 1u) << "the status: sent well";
  EXPECT_TRUE(level);
  EXPECT_FALSE(link.card->next_frame(out));
}

TEST_F(Ne2000Test, FramesThatCannotBeAndLoopsAreOverButNotOnTheWire) {
  start();
  Frame out;
  for (const uint32_t bytes : {0u, 13u, 1519u, 0xffffu}) {
    set(kTransmitBytes, bytes, 2);
    set(kInterrupts, 0xff);
    set(kCommand, kSend);
    EXPECT_FALSE(link.card->next_frame(out)) << bytes;
    EXPECT_EQ(get(kInterrupts), 2u);
  }
  set(kTransmit, 2);
  set(kTransmitBytes, 60, 2);
  set(kCommand, kSend);
  EXPECT_FALSE(link.card->next_frame(out));
}

TEST_F(Ne2000Test, WithoutACableWhatIsSentIsGone) {
  start();
  set(kTransmitBytes, 60, 2);
  set(kCommand, kSend);
  link.card->set_link(false);
  EXPECT_EQ(get(kInterrupts), 2u);
  EXPECT_EQ(get(kTransmitPage), 0x11u) << "there was no carrier";
  set(kInterrupts, 2);
  set(kCommand, kSend);
  EXPECT_EQ(get(kInterrupts), 2u) << "at once";
  link.card->set_link(true);
  set(kCommand, kSend);
  Frame out;
  EXPECT_TRUE(link.card->next_frame(out));
}

TEST_F(Ne2000Test, ReceivesIntoTheRing) {
  start();
  const Frame frame = frame_to(kFirstAddress, 300);
  EXPECT_TRUE(link.card->receive(frame));
  EXPECT_EQ(get(kInterrupts), 1u);
  EXPECT_TRUE(level);
  EXPECT_EQ(current(), kFirst + 2);
  Frame expected = {1, kFirst + 2, 304 & 0xff, 304 >> 8};
  expected.insert(expected.end(), frame.begin(), frame.end());
  EXPECT_EQ(read_memory(kFirst << 8, 304), expected);
  const Frame check = read_memory((kFirst << 8) + 304, 4);
  const uint32_t sum = frame_check(frame);
  EXPECT_EQ(check, (Frame{static_cast<uint8_t>(sum), static_cast<uint8_t>(sum >> 8),
                          static_cast<uint8_t>(sum >> 16), static_cast<uint8_t>(sum >> 24)}));
  EXPECT_TRUE(link.card->receive(frame_to(kFirstAddress, 20)));
  EXPECT_EQ(read_memory((kFirst + 2) << 8, 4), (Frame{1, kFirst + 3, 64, 0}))
      << "as long as a frame has to be";
}

TEST_F(Ne2000Test, TheRingGoesRound) {
  start();
  set(kFirstPage, 0x78);
  set(kBoundary, 0x7d);
  set(kCommand, kStart | kPage1);
  set(kCurrent, 0x7e);
  set(kCommand, kStart);
  const Frame frame = frame_to(kFirstAddress, 1000);
  ASSERT_TRUE(link.card->receive(frame));
  EXPECT_EQ(current(), 0x7a);
  EXPECT_EQ(read_memory(0x7e00, 4), (Frame{1, 0x7a, 1004 & 0xff, 1004 >> 8}));
  EXPECT_EQ(read_memory(0x7e04, 1000), frame) << "remote DMA goes round as well";
}

TEST_F(Ne2000Test, WhatIsReadNextMayBeTheFirstPage) {
  start();
  set(kBoundary, kFirst - 1);  // as Linux says it
  unsigned count = 0;
  while (link.card->receive(frame_to(kFirstAddress, 1500))) ASSERT_LT(++count, 100u);
  EXPECT_EQ(count, 9u) << "none that was not read is lost";
  EXPECT_EQ(current(), kFirst + 54);
}

TEST_F(Ne2000Test, AFullRingLetsTheNetworkWait) {
  start();
  unsigned count = 0;
  while (link.card->receive(frame_to(kFirstAddress, 1500))) ASSERT_LT(++count, 100u);
  EXPECT_EQ(count, 9u) << "58 pages, six for each, and one is never used";
  link.wakes = 0;
  set(kBoundary, kFirst + 5);
  EXPECT_EQ(link.wakes, 1u);
  set(kMask, 0x3f);
  EXPECT_EQ(link.wakes, 1u) << "once";
  EXPECT_TRUE(link.card->receive(frame_to(kFirstAddress, 1500)));
  EXPECT_FALSE(link.card->receive(frame_to(kFirstAddress, 1500)));
  set(kInterrupts, 1);
  EXPECT_FALSE(level);
  EXPECT_FALSE(link.card->receive(frame_to(kFirstAddress, 1500)));
  EXPECT_TRUE(level) << "or a driver that acknowledged more than it read would never read the rest";
  set(kCommand, kStop);
  EXPECT_TRUE(link.card->receive(frame_to(kFirstAddress, 1500))) << "nobody listens: lost";
}

TEST_F(Ne2000Test, OnlyFramesThatItIsToTakeAreTaken) {
  const MacAddress other = {2, 0, 0, 0, 0, 1}, group = {1, 0, 0x5e, 0, 0, 1},
                   all = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  const auto taken = [this](const MacAddress& address) {
    const uint8_t before = current();
    EXPECT_TRUE(link.card->receive(frame_to(address)));
    return current() != before;
  };
  start(0);
  EXPECT_TRUE(taken(kFirstAddress));
  for (const MacAddress& address : {other, group, all}) EXPECT_FALSE(taken(address));
  set(kReceive, 4);
  EXPECT_TRUE(taken(all));
  EXPECT_FALSE(taken(group));
  set(kReceive, 8);
  EXPECT_FALSE(taken(group)) << "not in the table";
  set(kCommand, kStart | kPage1);
  // The upper six bits of the address's CRC, as Linux' ether_crc() has it, are 31.
  for (unsigned i = 0; i < 8; ++i) set(8 + i, i == 31 / 8 ? 1u << 31 % 8 : 0);
  set(kCommand, kStart);
  EXPECT_EQ(taken(group), true);
  set(kReceive, 0x10);
  EXPECT_TRUE(taken(other));
  set(kReceive, 0x30);
  EXPECT_FALSE(taken(kFirstAddress)) << "it only watches";
}

TEST_F(Ne2000Test, RingsThatCannotBeLoseWhatComes) {
  for (const auto& [first, end, at] : std::vector<std::array<uint8_t, 3>>{{0, 0x80, 0x46},
                                                                          {0x46, 0x81, 0x46},
                                                                          {0x50, 0x50, 0x50},
                                                                          {0x60, 0x50, 0x55},
                                                                          {0x46, 0x80, 0x40},
                                                                          {0x46, 0x80, 0x80},
                                                                          {0x46, 0x80, 0xff},
                                                                          {0x46, 0x47, 0x46}}) {
    start();
    set(kFirstPage, first);
    set(kEndPage, end);
    set(kCommand, kStart | kPage1);
    set(kCurrent, at);
    set(kCommand, kStart);
    EXPECT_TRUE(link.card->receive(frame_to(kFirstAddress, 1500))) << int{first} << " " << int{end};
    EXPECT_EQ(get(kInterrupts), 0u);
  }
}

TEST_F(Ne2000Test, ASnapshotGoesOnInTheMiddleOfAFrame) {
  start();
  ASSERT_TRUE(link.card->receive(frame_to(kFirstAddress)));
  remote(kRead, kFirst << 8, 104);
  EXPECT_EQ(get(kDataPort, 2), 0x01u | (kFirst + 1) << 8);
  StateWriter saved;
  saved.begin("card", 1);
  card.save(saved);
  saved.end();
  card.reset();
  EXPECT_FALSE(level);
  StateReader back(saved.bytes());
  back.begin("card");
  card.load(back);
  back.end();
  ASSERT_FALSE(back.failed());
  EXPECT_TRUE(level);
  EXPECT_EQ(get(kDataPort, 2), 104u);
}

TEST_F(Ne2000Test, HeldItMovesNothing) {
  start();
  set(kTransmitBytes, 60, 2);
  set(kCommand, kSend);
  card.hold();
  Frame out;
  EXPECT_FALSE(link.card->next_frame(out));
  EXPECT_FALSE(link.card->receive(frame_to(kFirstAddress)));
  card.release();
  EXPECT_TRUE(link.card->next_frame(out));
  EXPECT_TRUE(link.card->receive(frame_to(kFirstAddress)));
}

class Ne2000PciTest : public pci::PciTest {
 protected:
  FakeLink link;
  Ne2000Pci card{"ne2000", link, kFirstAddress};
};

TEST_F(Ne2000PciTest, IsAnRtl8029) {
  root.add(5, 0, card);
  ASSERT_TRUE(pci::place(root, bridge, lpc, kWindows));
  EXPECT_EQ(read(5, 0), 0x8029'10ecu);
  write(5, pci::kCommand, 2, 1);
  const uint32_t port = read(5, 0x10) & ~3u;
  EXPECT_EQ(ports.read(port + 10, 2), 0x4350u) << "\"PC\"";
  ports.write(port, 1, 0xe1);
  EXPECT_EQ(ports.read(port + 14, 2), 0x8029u);
}

}  // namespace
}  // namespace eidolon::device::net
