// TCP packets for tests, as an honest sender makes them.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "device/net/offload.h"

namespace eidolon::device::net {

using Frame = std::vector<uint8_t>;

inline constexpr size_t kIp = 14, kTcp4 = 34, kTcp6 = 54;
inline constexpr uint8_t kAck = 0x10, kPsh = 0x08, kFin = 0x01, kCwr = 0x80;

inline Frame payload_of(size_t bytes) {
  Frame payload(bytes);
  for (size_t i = 0; i < bytes; ++i) payload[i] = static_cast<uint8_t>(i * 7 + i / 256);
  return payload;
}

/// With all checksums right.
inline Frame tcp4(const Frame& payload, uint32_t sequence = 1000, uint8_t flags = kAck, uint16_t number = 7) {
  constexpr std::array<uint8_t, kTcp4 + 20> kHeaders = {
      0x52, 0x55, 10,   0, 2,  2, 0x52, 0x54, 0,  0x12, 0x34, 0x56, 8,    0, 0x45, 0, 0,    0,
      0,    0,    0x40, 0, 64, 6, 0,    0,    10, 0,    2,    15,   10,   0, 2,    2, 0x80, 0,
      0,    80,   0,    0, 0,  0, 0,    0,    0,  9,    0x50, 0,    0x20, 0, 0,    0, 0,    0};
  Frame frame(kHeaders.size() + payload.size());
  std::ranges::copy(kHeaders, frame.begin());
  std::ranges::copy(payload, frame.begin() + kHeaders.size());
  put_16(frame, kIp + 2, frame.size() - kIp);
  put_16(frame, kIp + 4, number);
  put_32(frame, kTcp4 + 4, sequence);
  frame[kTcp4 + 13] = flags;
  put_16(frame, kIp + 10, static_cast<uint16_t>(~internet_sum(Bytes(frame).subspan(kIp, 20))));
  const auto length = static_cast<uint32_t>(frame.size() - kTcp4);
  const uint16_t pseudo = internet_sum(Bytes(frame).subspan(kIp + 12, 8), length + kTcp);
  put_16(frame, kTcp4 + 16, static_cast<uint16_t>(~internet_sum(Bytes(frame).subspan(kTcp4), pseudo)));
  return frame;
}

inline Frame tcp6(const Frame& payload, uint32_t sequence = 1000, uint8_t flags = kAck) {
  Frame frame(kTcp6 + 20 + payload.size());
  std::ranges::copy(payload, frame.begin() + kTcp6 + 20);
  const Frame four = tcp4({}, sequence, flags);
  std::copy_n(four.begin(), 12, frame.begin());
  frame[12] = 0x86;
  frame[13] = 0xdd;
  frame[kIp] = 0x60;
  frame[kIp + 6] = kTcp;
  frame[kIp + 7] = 64;
  for (size_t i = 0; i < 32; ++i) frame[kIp + 8 + i] = static_cast<uint8_t>(i + 1);
  std::copy(four.begin() + kTcp4, four.end(), frame.begin() + kTcp6);
  const auto length = static_cast<uint32_t>(frame.size() - kTcp6);
  put_16(frame, kIp + 4, length);
  put_16(frame, kTcp6 + 16, 0);
  const uint16_t pseudo = internet_sum(Bytes(frame).subspan(kIp + 8, 32), length + kTcp);
  put_16(frame, kTcp6 + 16, static_cast<uint16_t>(~internet_sum(Bytes(frame).subspan(kTcp6), pseudo)));
  return frame;
}

/// What a driver leaves to its card. The checksum has something in it that nobody must rely on.
inline Offload cut(Frame& frame, uint16_t segment, bool is_v6 = false) {
  const size_t at = is_v6 ? kTcp6 : kTcp4;
  put_16(frame, at + 16, 0x1234);
  return {.sum_missing = true,
          .sum_start = static_cast<uint16_t>(at),
          .sum_offset = 16,
          .cut = is_v6 ? Cut::kTcp6 : Cut::kTcp4,
          .segment = segment};
}

inline void expect_good_sums(const Frame& frame) {
  const auto packet = find_transport(frame);
  ASSERT_TRUE(packet);
  if (packet->ip_header != 0) {
    EXPECT_EQ(internet_sum(Bytes(frame).subspan(packet->ip_at, packet->ip_header)), 0xffff);
  }
  EXPECT_EQ(internet_sum(Bytes(frame).subspan(packet->at, packet->end - packet->at), packet->pseudo), 0xffff);
  EXPECT_EQ(packet->end, frame.size());
}

}  // namespace eidolon::device::net
