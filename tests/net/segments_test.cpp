// Long packets cut into segments, and segments put together again.
#include "device/net/segments.h"

#include "device/net/coalesce.h"
#include "net/packets.h"

namespace eidolon::device::net {
namespace {

std::vector<Frame> all_of(const Frame& frame, const Offload& offload) {
  Segments segments;
  std::vector<Frame> frames;
  EXPECT_TRUE(segments.begin(frame, offload));
  for (Frame one; segments.next(one);) frames.push_back(one);
  return frames;
}

TEST(Segments, AreWhatTheSenderWouldHaveSent) {
  const Frame payload = payload_of(3001);
  Frame frame = tcp4(payload, 0xffffff00, kAck | kPsh | kFin | kCwr, 0xffff);
  const Offload offload = cut(frame, 1000);
  const std::vector<Frame> frames = all_of(frame, offload);
  ASSERT_EQ(frames.size(), 4u);
  const auto part = [&](size_t from, size_t bytes) {
    return Frame(payload.begin() + static_cast<ptrdiff_t>(from),
                 payload.begin() + static_cast<ptrdiff_t>(from + bytes));
  };
  EXPECT_EQ(frames[0], tcp4(part(0, 1000), 0xffffff00, kAck | kCwr, 0xffff));
  EXPECT_EQ(frames[1], tcp4(part(1000, 1000), 0xffffff00 + 1000, kAck, 0))
      << "numbers go on beyond their end";
  EXPECT_EQ(frames[2], tcp4(part(2000, 1000), 0xffffff00 + 2000, kAck, 1));
  EXPECT_EQ(frames[3], tcp4(part(3000, 1), 0xffffff00 + 3000, kAck | kPsh | kFin, 2));
}

TEST(Segments, OfIpv6HaveTheirLengths) {
  const Frame payload = payload_of(2500);
  Frame frame = tcp6(payload, 5, kAck | kPsh);
  const Offload offload = cut(frame, 1400, true);
  const std::vector<Frame> frames = all_of(frame, offload);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0], tcp6(Frame(payload.begin(), payload.begin() + 1400), 5, kAck));
  EXPECT_EQ(frames[1], tcp6(Frame(payload.begin() + 1400, payload.end()), 1405, kAck | kPsh));
}

TEST(Segments, BehindTagsAndHeadersWithOptionsAreRight) {
  Frame frame = tcp4(payload_of(4000));
  frame.insert(frame.begin() + kTcp4 + 20, 12, 1);  // options of TCP: nothing
  frame[kTcp4 + 12] = 0x80;
  frame.insert(frame.begin() + kTcp4, 4, 1);  // of IP
  frame[kIp] = 0x46;
  frame.insert(frame.begin() + 12, {0x81, 0, 0, 5});
  const Offload offload = {
      .sum_missing = true, .sum_start = kTcp4 + 8, .sum_offset = 16, .cut = Cut::kTcp4, .segment = 1444};
  const std::vector<Frame> frames = all_of(frame, offload);
  ASSERT_EQ(frames.size(), 3u);
  for (const Frame& one : frames) {
    expect_good_sums(one);
    EXPECT_EQ(get_32(one, 12), 0x8100'0005u);
    EXPECT_LE(one.size(), kLongestFrame);
  }
}

TEST(Segments, OfAFrameThatNeedsNoCutAreItself) {
  Frame frame = tcp4(payload_of(100));
  EXPECT_EQ(all_of(frame, {}), std::vector<Frame>{frame});
  const Frame right = frame;
  const Offload offload = cut(frame, 1000);
  EXPECT_EQ(all_of(frame, offload), std::vector<Frame>{right});
  EXPECT_EQ(all_of(tcp4({}), {}).size(), 1u);
  Frame empty = tcp4({});
  const Offload nothing = cut(empty, 1000);
  EXPECT_EQ(all_of(empty, nothing), std::vector<Frame>{tcp4({})});
}

TEST(Segments, ThatCannotBeAreNone) {
  Segments segments;
  Frame frame = tcp4(payload_of(100)), one;
  Offload offload = cut(frame, 1000);
  ASSERT_TRUE(segments.begin(frame, offload));
  offload.segment = 0;
  EXPECT_FALSE(segments.begin(frame, offload));
  EXPECT_FALSE(segments.next(one)) << "nor is there the one before";
}

/// Takes as many frames as it has room, and large ones if it is told so.
class SlowCard final : public Card {
 public:
  bool next_frame(Frame& /*frame*/) override { return false; }
  bool receive(Bytes frame) override {
    if (room == 0) return false;
    --room;
    received.emplace_back(frame.begin(), frame.end());
    return true;
  }
  bool takes(const Offload& offload) override { return takes_large || offload.finished(); }
  bool receive_large(Bytes frame, const Offload& offload) override {
    last = offload;
    return receive(frame);
  }
  unsigned room = 0;
  bool takes_large = false;
  Offload last;
  std::vector<Frame> received;
};

TEST(Delivery, CutsForACardThatTakesNoLargeFramesAndGoesOnWhereItStopped) {
  SlowCard card;
  Delivery delivery;
  Frame frame = tcp4(payload_of(3500));
  const Offload offload = cut(frame, 1000);
  const std::vector<Frame> whole = all_of(frame, offload);
  EXPECT_FALSE(delivery.deliver(card, frame, offload));
  card.room = 2;
  EXPECT_FALSE(delivery.deliver(card, frame, offload));
  EXPECT_EQ(card.received.size(), 2u);
  card.room = 10;
  EXPECT_TRUE(delivery.deliver(card, frame, offload));
  EXPECT_EQ(card.received, whole);
  EXPECT_TRUE(delivery.deliver(card, tcp4({}), {.sum_valid = true}));
  EXPECT_TRUE(card.last.sum_valid);
}

TEST(Delivery, HandsLargeFramesToACardThatTakesThem) {
  SlowCard card;
  card.takes_large = true;
  card.room = 2;
  Delivery delivery;
  Frame frame = tcp4(payload_of(3500));
  Offload offload = cut(frame, 1000);
  EXPECT_TRUE(delivery.deliver(card, frame, offload));
  EXPECT_EQ(card.received, std::vector<Frame>{frame});
  EXPECT_EQ(card.last, offload);
  offload.segment = 0;
  EXPECT_TRUE(delivery.deliver(card, frame, offload));
  EXPECT_EQ(card.received.size(), 1u) << "what is no frame is lost";
}

TEST(Delivery, ForgetsWhatWasUnderWay) {
  SlowCard card;
  Delivery delivery;
  Frame frame = tcp4(payload_of(3500));
  const Offload offload = cut(frame, 1000);
  card.room = 1;
  EXPECT_FALSE(delivery.deliver(card, frame, offload));
  delivery.forget();
  card.room = 1;
  EXPECT_TRUE(delivery.deliver(card, tcp4({}), {}));
  EXPECT_EQ(card.received.back(), tcp4({}));
}

TEST(Coalescer, PutsTogetherWhatSegmentsCut) {
  for (const bool is_v6 : {false, true}) {
    Frame large = is_v6 ? tcp6(payload_of(9000), 77, kAck | kPsh) : tcp4(payload_of(9000), 77, kAck | kPsh);
    const Offload offload = cut(large, 1400, is_v6);
    const std::vector<Frame> frames = all_of(large, offload);
    Coalescer coalescer;
    ASSERT_TRUE(coalescer.begin(frames[0]));
    for (size_t i = 1; i < frames.size(); ++i) EXPECT_TRUE(coalescer.add(frames[i])) << i;
    const Offload whole = coalescer.finish();
    EXPECT_EQ(whole, offload);
    const Frame together(coalescer.bytes().begin(), coalescer.bytes().end());
    EXPECT_EQ(together.size(), large.size());
    EXPECT_EQ(all_of(together, whole), frames);
    // What the kernel of a guest looks at before it believes that the rest is right.
    const auto packet = find_transport(together);
    ASSERT_TRUE(packet);
    EXPECT_EQ(get_16(together, packet->at + 16), packet->pseudo);
    if (!is_v6) {
      EXPECT_EQ(internet_sum(Bytes(together).subspan(kIp, 20)), 0xffff);
    }
    EXPECT_FALSE(coalescer.add(frames[1])) << "the last one pushes";
  }
}

TEST(Coalescer, OneFrameStaysAsItIs) {
  Coalescer coalescer;
  const Frame frame = tcp4(payload_of(100));
  ASSERT_TRUE(coalescer.begin(frame));
  EXPECT_FALSE(coalescer.empty());
  EXPECT_EQ(coalescer.finish(), (Offload{.sum_valid = true}));
  EXPECT_TRUE(std::ranges::equal(coalescer.bytes(), frame));
  coalescer.clear();
  EXPECT_TRUE(coalescer.empty());
}

TEST(Coalescer, WhatDoesNotFollowStaysApart) {
  const Frame payload = payload_of(1000);
  const Frame first = tcp4(payload, 1000, kAck, 7), good = tcp4(payload, 2000, kAck, 8);
  const auto follows = [&](const Frame& frame) {
    Coalescer coalescer;
    EXPECT_TRUE(coalescer.begin(first));
    return coalescer.add(frame);
  };
  EXPECT_TRUE(follows(good));
  EXPECT_FALSE(follows(first)) << "sent again";
  EXPECT_FALSE(follows(tcp4(payload, 2001, kAck, 8)));
  EXPECT_FALSE(follows(tcp4(payload, 2000, kAck, 9))) << "a packet in between was for somebody else";
  EXPECT_FALSE(follows(tcp4(payload, 2000, kAck | kFin, 8)));
  EXPECT_FALSE(follows(tcp4(payload_of(1001), 2000, kAck, 8))) << "larger than the first";
  EXPECT_FALSE(follows(tcp4({}, 2000, kAck, 8)));
  EXPECT_FALSE(follows(tcp6(payload, 2000)));
  for (const size_t at : {size_t{0}, size_t{6}, kIp + 1, kIp + 8, kIp + 15, kIp + 19, kTcp4 + 1, kTcp4 + 3,
                          kTcp4 + 11, kTcp4 + 15}) {
    Frame other = good;
    other[at] ^= 1;
    EXPECT_FALSE(follows(other)) << at;
  }
}

TEST(Coalescer, ASmallerOneIsTheLast) {
  Coalescer coalescer;
  ASSERT_TRUE(coalescer.begin(tcp4(payload_of(1000), 1000, kAck, 7)));
  EXPECT_TRUE(coalescer.add(tcp4(payload_of(999), 2000, kAck, 8)));
  EXPECT_FALSE(coalescer.add(tcp4(payload_of(999), 2999, kAck, 9)));
}

TEST(Coalescer, EndsWhereAPacketCannotBeLonger) {
  Coalescer coalescer;
  uint32_t sequence = 0;
  uint16_t number = 0;
  ASSERT_TRUE(coalescer.begin(tcp4(payload_of(1460), sequence, kAck, number)));
  while (coalescer.add(tcp4(payload_of(1460), sequence += 1460, kAck, ++number))) ASSERT_LT(number, 100);
  EXPECT_EQ(number, (65535 - 40) / 1460);
  EXPECT_TRUE(check(coalescer.bytes(), coalescer.finish()));
}

TEST(Coalescer, OnlyDataBeginsOne) {
  Coalescer coalescer;
  for (const uint8_t flags : {kAck | kPsh, kAck | kFin, 0x02, 0x12, 0x04, 0x30, kAck | 0x40})
    EXPECT_FALSE(coalescer.begin(tcp4(payload_of(100), 1, static_cast<uint8_t>(flags)))) << flags;
  EXPECT_FALSE(coalescer.begin(tcp4({})));
  EXPECT_FALSE(coalescer.begin(Frame(60)));
  EXPECT_FALSE(coalescer.begin({}));
  EXPECT_FALSE(coalescer.add(tcp4(payload_of(10)))) << "it is empty";
  Frame padded = tcp4(payload_of(2));
  padded.resize(60);
  ASSERT_TRUE(coalescer.begin(padded));
  EXPECT_EQ(coalescer.bytes().size(), 56u) << "padding is not part of it";
}

}  // namespace
}  // namespace eidolon::device::net
