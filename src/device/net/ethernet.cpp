#include "device/net/ethernet.h"

#include <zlib.h>

#include <bit>
#include <cstring>

namespace eidolon::device::net {

namespace {

constexpr uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kTag = 0x8100;
constexpr size_t kIpv4Header = 20, kIpv6Header = 40;

std::optional<Transport> find_in_ipv4(Bytes frame, size_t at) {
  if (frame.size() < at + kIpv4Header) return std::nullopt;
  const size_t header = (frame[at] & 15u) * 4, length = get_16(frame, at + 2);
  const bool is_fragment = (get_16(frame, at + 6) & 0x3fff) != 0;
  if (frame[at] >> 4 != 4 || header < kIpv4Header || length < header || frame.size() < at + length)
    return std::nullopt;
  const uint8_t protocol = is_fragment ? kNoProtocol : frame[at + 9];
  const uint32_t lengths = static_cast<uint32_t>(length - header) + protocol;
  return Transport{.ip_at = at,
                   .ip_header = header,
                   .at = at + header,
                   .end = at + length,
                   .protocol = protocol,
                   .pseudo = internet_sum(frame.subspan(at + 12, 8), lengths)};
}

/// Extension headers are not looked behind.
std::optional<Transport> find_in_ipv6(Bytes frame, size_t at) {
  if (frame.size() < at + kIpv6Header) return std::nullopt;
  const size_t length = get_16(frame, at + 4);
  if (frame[at] >> 4 != 6 || frame.size() < at + kIpv6Header + length) return std::nullopt;
  const uint8_t protocol = frame[at + 6];
  return Transport{
      .ip_at = at,
      .ip_header = 0,
      .at = at + kIpv6Header,
      .end = at + kIpv6Header + length,
      .protocol = protocol,
      .pseudo = internet_sum(frame.subspan(at + 8, 32), static_cast<uint32_t>(length) + protocol)};
}

}  // namespace

uint16_t internet_sum(Bytes bytes, uint32_t initial) {
  // The sum does not depend on the order of the bytes in a word, but for the order of those of the sum
  // (RFC 1071, 2): words are added as the processor has them.
  uint64_t sum = 0;
  size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    uint32_t word;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    sum += word;
  }
  for (; at < bytes.size(); ++at) sum += uint64_t{bytes[at]} << (8 * (at % 2));
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  uint32_t result = __builtin_bswap16(static_cast<uint16_t>(sum)) + (initial & 0xffff) + (initial >> 16);
  while (result >> 16 != 0) result = (result & 0xffff) + (result >> 16);
  return static_cast<uint16_t>(result);
}

uint32_t frame_check(Bytes frame) {
  return static_cast<uint32_t>(crc32(0, frame.data(), static_cast<uInt>(frame.size())));
}

std::optional<Transport> find_transport(Bytes frame) {
  size_t at = kTypeAt;
  if (frame.size() < kHeaderBytes + kTagBytes) return std::nullopt;
  if (get_16(frame, at) == kTag) at += kTagBytes;
  const uint16_t type = get_16(frame, at);
  at += 2;
  if (type == kIpv4) return find_in_ipv4(frame, at);
  if (type == kIpv6) return find_in_ipv6(frame, at);
  return std::nullopt;
}

bool has_checksum(Bytes frame, const Transport& packet) {
  constexpr size_t kTcpHeader = 20, kUdpHeader = 8, kUdpSumAt = 6;
  const size_t length = packet.end - packet.at;
  if (packet.protocol == kTcp) return length >= kTcpHeader;
  return packet.protocol == kUdp && length >= kUdpHeader && get_16(frame, packet.at + kUdpSumAt) != 0;
}

}  // namespace eidolon::device::net
