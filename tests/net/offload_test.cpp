// What is left to do about a frame: its ten bytes, what is refused, and checksums.
#include "device/net/offload.h"

#include "net/packets.h"

namespace eidolon::device::net {
namespace {

TEST(Offload, IsTenBytesAsVirtioHasThem) {
  const Offload offload = {.sum_missing = true,
                           .sum_start = 0x1234,
                           .sum_offset = 0x0056,
                           .cut = Cut::kTcp6,
                           .congestion = true,
                           .segment = 0x0578};
  const OffloadBytes bytes = encode(offload, 0x0042);
  EXPECT_EQ(bytes, (OffloadBytes{1, 0x84, 0x42, 0, 0x78, 5, 0x34, 0x12, 0x56, 0}));
  EXPECT_EQ(decode(bytes), offload);
  EXPECT_EQ(encode({}, 54), OffloadBytes{}) << "nothing is left, so nothing is said";
  EXPECT_EQ(encode({.sum_valid = true}, 0)[0], 2);
  EXPECT_EQ(decode(OffloadBytes{2}), (Offload{.sum_valid = true}));
}

TEST(Offload, KindsThatAreNotOfferedAreRefused) {
  for (const uint8_t kind : {2, 3, 5, 0x7f}) EXPECT_FALSE(decode(OffloadBytes{1, kind})) << int{kind};
  EXPECT_EQ(decode(OffloadBytes{0xf8}), Offload{}) << "unknown flags are to be ignored";
}

TEST(Offload, AChecksumThatIsNotInTheFrameIsRefused) {
  const Frame frame = tcp4(payload_of(10));
  const auto sum = [](size_t start, size_t offset) {
    return Offload{.sum_missing = true,
                   .sum_start = static_cast<uint16_t>(start),
                   .sum_offset = static_cast<uint16_t>(offset)};
  };
  EXPECT_TRUE(check(frame, sum(kTcp4, 16)));
  EXPECT_TRUE(check(frame, sum(frame.size() - 2, 0)));
  EXPECT_FALSE(check(frame, sum(frame.size() - 1, 0)));
  EXPECT_FALSE(check(frame, sum(frame.size(), 0)));
  EXPECT_FALSE(check(frame, sum(kTcp4, frame.size())));
  EXPECT_FALSE(check(frame, sum(0xffff, 0xffff)));
  EXPECT_FALSE(check(frame, sum(0, 2))) << "in the Ethernet header";
  EXPECT_FALSE(check(Frame(13), {}));
  EXPECT_FALSE(check(Frame(kLongestFrame + 1), sum(34, 16))) << "longer than a wire takes";
}

TEST(Offload, WhatCannotBeCutIsRefused) {
  Frame frame = tcp4(payload_of(5000));
  const Offload good = cut(frame, 1460);
  ASSERT_TRUE(check(frame, good));
  const auto with = [&](auto change) {
    Offload changed = good;
    change(changed);
    return check(frame, changed);
  };
  for (const uint16_t segment : {0, 1, 7, 1465, 9000, 0xffff})
    EXPECT_FALSE(with([&](Offload& o) { o.segment = segment; })) << segment;
  EXPECT_FALSE(with([](Offload& o) { o.sum_missing = false; }));
  EXPECT_FALSE(with([](Offload& o) { o.sum_offset = 6; }));
  EXPECT_FALSE(with([](Offload& o) { o.sum_start = kTcp4 + 4; })) << "not where the IP header ends";
  EXPECT_FALSE(with([](Offload& o) { o.sum_start = 0xffff; }));
  EXPECT_FALSE(with([](Offload& o) { o.cut = Cut::kTcp6; })) << "of the other kind";
  const auto without = [&](size_t at, uint8_t value) {
    Frame changed = frame;
    changed[at] = value;
    return check(changed, good);
  };
  EXPECT_FALSE(without(kIp, 0x46)) << "another length of the IP header";
  EXPECT_FALSE(without(kIp, 0x65));
  EXPECT_FALSE(without(kIp + 9, kUdp));
  EXPECT_FALSE(without(kIp + 6, 0x20)) << "a fragment";
  EXPECT_FALSE(without(kTcp4 + 12, 0x40)) << "a TCP header that is too short";
  EXPECT_FALSE(check(Bytes(frame).first(kTcp4 + 19), good));
  Frame long_header = frame;
  long_header.resize(kTcp4 + 40);
  long_header[kTcp4 + 12] = 0xf0;
  EXPECT_FALSE(check(long_header, good)) << "one that does not end in the frame";
  EXPECT_FALSE(check(Frame(kLongestLarge + 1), good));
  EXPECT_TRUE(check(Bytes(frame).first(kTcp4 + 20), good)) << "nothing to cut is no crime";
}

TEST(Offload, TagsAreLookedBehind) {
  Frame frame = tcp4(payload_of(3000));
  Offload offload = cut(frame, 1400);
  for (const uint8_t type : {0x81, 0x88}) {
    frame.insert(frame.begin() + 12, {type, static_cast<uint8_t>(type == 0x81 ? 0 : 0xa8), 0, 5});
    offload.sum_start += 4;
    EXPECT_TRUE(check(frame, offload)) << int{type};
  }
  frame.insert(frame.begin() + 12, {0x81, 0, 0, 5});
  offload.sum_start += 4;
  EXPECT_FALSE(check(frame, offload)) << "three of them";
}

TEST(FinishSum, IsWhatTheSenderWouldHaveWritten) {
  const Frame right = tcp4(payload_of(333));
  Frame frame = right;
  // As drivers do it: the sum of the pseudo header is there already.
  const auto length = static_cast<uint32_t>(frame.size() - kTcp4);
  put_16(frame, kTcp4 + 16, internet_sum(Bytes(frame).subspan(kIp + 12, 8), length + kTcp));
  finish_sum(frame, {.sum_missing = true, .sum_start = kTcp4, .sum_offset = 16});
  EXPECT_EQ(frame, right);
  finish_sum(frame, {});
  EXPECT_EQ(frame, right) << "nothing was left";
}

TEST(FinishSum, OfALargePacketIsTheOneOfItAll) {
  for (const bool is_v6 : {false, true}) {
    const Frame right = is_v6 ? tcp6(payload_of(60'000)) : tcp4(payload_of(60'000));
    Frame frame = right;
    const Offload offload = cut(frame, 1400, is_v6);
    finish_sum(frame, offload);
    EXPECT_EQ(frame, right);
  }
}

TEST(FinishSum, IsNeverZero) {
  Frame frame(40);
  frame[20] = 0xff;
  frame[21] = 0xff;
  finish_sum(frame, {.sum_missing = true, .sum_start = 20, .sum_offset = 6});
  EXPECT_EQ(get_16(frame, 26), 0xffff) << "which would be UDP's \"no checksum\"";
}

}  // namespace
}  // namespace eidolon::device::net
