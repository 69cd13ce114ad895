// Checksums and packets, against numbers from elsewhere: the example of RFC 1071, 3, and the check value of
// CRC-32.
#include "device/net/ethernet.h"

#include <gtest/gtest.h>

#include <string_view>

namespace eidolon::device::net {
namespace {

TEST(Ethernet, TheSumIsThatOfRfc1071) {
  const std::vector<uint8_t> bytes = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(internet_sum(bytes), 0xddf2);
  EXPECT_EQ(internet_sum(bytes, 0x220d), 0xffff);
  EXPECT_EQ(internet_sum({}), 0);
}

TEST(Ethernet, AnOddByteIsAnUpperOne) {
  const std::vector<uint8_t> bytes = {0x00, 0x01, 0xf2, 0x03, 0xf4};
  EXPECT_EQ(internet_sum(bytes), 0xe605);
  EXPECT_EQ(internet_sum(Bytes(bytes).first(1)), 0);
  EXPECT_EQ(internet_sum(Bytes(bytes).subspan(4)), 0xf400);
}

TEST(Ethernet, TheFrameCheckIsCrc32) {
  constexpr std::string_view kText = "123456789";
  const std::vector<uint8_t> bytes(kText.begin(), kText.end());
  EXPECT_EQ(frame_check(bytes), 0xcbf43926u);
}

/// UDP from 10.0.2.15 to 10.0.2.2, in an IPv4 packet behind a tag.
std::vector<uint8_t> tagged_udp() {
  std::vector<uint8_t> frame(60);
  put_16(frame, 12, 0x8100);
  put_16(frame, 16, 0x0800);
  const std::vector<uint8_t> ip = {0x45, 0, 0, 30, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2};
  std::ranges::copy(ip, frame.begin() + 18);
  put_16(frame, 18 + 20 + 4, 10);
  put_16(frame, 18 + 20 + 6, 0x1234);
  return frame;
}

TEST(Ethernet, APacketBehindATagIsFound) {
  const auto frame = tagged_udp();
  const auto packet = find_transport(frame);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->ip_at, 18u);
  EXPECT_EQ(packet->at, 38u);
  EXPECT_EQ(packet->end, 48u) << "without the padding";
  EXPECT_EQ(packet->protocol, kUdp);
  EXPECT_EQ(packet->pseudo, 10u * 256 * 2 + 2 * 256 * 0 + 0x020f + 0x0202 + 10 + 17);
  EXPECT_TRUE(has_checksum(frame, *packet));
}

TEST(Ethernet, WhatHasNoChecksumToSee) {
  auto frame = tagged_udp();
  put_16(frame, 18 + 20 + 6, 0);
  EXPECT_FALSE(has_checksum(frame, *find_transport(frame))) << "UDP without one";
  frame = tagged_udp();
  put_16(frame, 18 + 6, 0x2000);
  EXPECT_EQ(find_transport(frame)->protocol, kNoProtocol) << "a fragment";
  frame = tagged_udp();
  put_16(frame, 18 + 2, 200);
  EXPECT_FALSE(find_transport(frame)) << "longer than the frame";
  frame[18] = 0x44;
  EXPECT_FALSE(find_transport(frame)) << "a header of 16 bytes";
  EXPECT_FALSE(find_transport(Bytes(frame).first(17)));
  EXPECT_FALSE(find_transport(Bytes(tagged_udp()).first(30)));
}

TEST(Ethernet, APacketOfIpv6IsFound) {
  std::vector<uint8_t> frame(14 + 40 + 20);
  put_16(frame, 12, 0x86dd);
  frame[14] = 0x60;
  put_16(frame, 14 + 4, 20);
  frame[14 + 6] = kTcp;
  frame[14 + 8 + 15] = 1;
  frame[14 + 24 + 15] = 2;
  const auto packet = find_transport(frame);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->ip_header, 0u);
  EXPECT_EQ(packet->at, 54u);
  EXPECT_EQ(packet->pseudo, 1u + 2 + 20 + 6);
  EXPECT_TRUE(has_checksum(frame, *packet));
  put_16(frame, 14 + 4, 21);
  EXPECT_FALSE(find_transport(frame));
}

}  // namespace
}  // namespace eidolon::device::net
