#include "device/net/offload.h"

#include "base/assert.h"

namespace eidolon::device::net {

namespace {

constexpr uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kTag = 0x8100, kServiceTag = 0x88a8;
constexpr size_t kIpv4Header = 20, kIpv6Header = 40, kTcpHeader = 20, kMostTags = 2;
/// Fewer bytes of payload in a segment than any TCP sends (Linux: TCP_MIN_SND_MSS less its options).
constexpr uint16_t kLeastSegment = 8;

// The ten bytes: flags, kind, and four numbers of 16 bits, lower byte first.
constexpr size_t kFlagsAt = 0, kKindAt = 1, kHeaderAt = 2, kSegmentAt = 4, kStartAt = 6, kOffsetAt = 8;
constexpr uint8_t kNeedsSum = 1, kSumValid = 2;  ///< others are ignored
constexpr uint8_t kKindNone = 0, kKindTcp4 = 1, kKindTcp6 = 4, kCongestion = 0x80;

uint16_t get_low_first(std::span<const uint8_t, kOffloadBytes> bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);
}
void put_low_first(OffloadBytes& bytes, size_t at, size_t value) {
  bytes[at] = static_cast<uint8_t>(value);
  bytes[at + 1] = static_cast<uint8_t>(value >> 8);
}

/// Behind the Ethernet header and tags: where the packet is, if it is of `type`.
std::optional<size_t> find_ip(Bytes frame, uint16_t type) {
  size_t at = kTypeAt;
  for (size_t tags = 0; frame.size() >= at + 2; ++tags, at += kTagBytes) {
    const uint16_t here = get_16(frame, at);
    if (here == type) return at + 2;
    if ((here != kTag && here != kServiceTag) || tags == kMostTags) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

OffloadBytes encode(const Offload& offload, size_t header_bytes) {
  OffloadBytes bytes{};
  bytes[kFlagsAt] = offload.sum_missing ? kNeedsSum : offload.sum_valid ? kSumValid : uint8_t{0};
  if (offload.sum_missing) {
    put_low_first(bytes, kStartAt, offload.sum_start);
    put_low_first(bytes, kOffsetAt, offload.sum_offset);
  }
  if (offload.cut == Cut::kNone) return bytes;
  bytes[kKindAt] = static_cast<uint8_t>((offload.cut == Cut::kTcp4 ? kKindTcp4 : kKindTcp6) |
                                        (offload.congestion ? kCongestion : 0));
  put_low_first(bytes, kHeaderAt, header_bytes);
  put_low_first(bytes, kSegmentAt, offload.segment);
  return bytes;
}

std::optional<Offload> decode(std::span<const uint8_t, kOffloadBytes> bytes) {
  Offload offload;
  const uint8_t flags = bytes[kFlagsAt], kind = bytes[kKindAt] & ~kCongestion;
  offload.sum_missing = (flags & kNeedsSum) != 0;
  offload.sum_valid = (flags & kSumValid) != 0 && !offload.sum_missing;
  if (offload.sum_missing) {
    offload.sum_start = get_low_first(bytes, kStartAt);
    offload.sum_offset = get_low_first(bytes, kOffsetAt);
  }
  if (kind == kKindNone) return offload;
  if (kind != kKindTcp4 && kind != kKindTcp6) return std::nullopt;
  offload.cut = kind == kKindTcp4 ? Cut::kTcp4 : Cut::kTcp6;
  offload.congestion = (bytes[kKindAt] & kCongestion) != 0;
  offload.segment = get_low_first(bytes, kSegmentAt);
  return offload;
}

std::optional<TcpPacket> find_tcp(Bytes frame, const Offload& offload) {
  const bool is_v6 = offload.cut == Cut::kTcp6;
  const auto ip_at = find_ip(frame, is_v6 ? kIpv6 : kIpv4);
  if (!ip_at || frame.size() > kLongestLarge || !offload.sum_missing || offload.sum_offset != kTcpSumAt)
    return std::nullopt;
  const size_t at = offload.sum_start, header = is_v6 ? kIpv6Header : kIpv4Header;
  if (at < *ip_at + header || frame.size() < at + kTcpHeader || frame[*ip_at] >> 4 != (is_v6 ? 6 : 4))
    return std::nullopt;
  // IPv6 may have headers in between; IPv4 says itself where it ends, and is no fragment.
  if (!is_v6 && (at - *ip_at != (frame[*ip_at] & 15u) * 4 || frame[*ip_at + 9] != kTcp ||
                 (get_16(frame, *ip_at + 6) & 0x3fff) != 0))
    return std::nullopt;
  const size_t tcp_header = frame[at + 12] >> 4 << 2;
  if (tcp_header < kTcpHeader || frame.size() < at + tcp_header) return std::nullopt;
  return TcpPacket{.ip_at = *ip_at, .is_v6 = is_v6, .at = at, .payload = at + tcp_header};
}

uint16_t pseudo_sum(Bytes frame, const TcpPacket& packet, size_t length) {
  const Bytes addresses =
      packet.is_v6 ? frame.subspan(packet.ip_at + 8, 32) : frame.subspan(packet.ip_at + 12, 8);
  return internet_sum(addresses, static_cast<uint32_t>(length) + kTcp);
}

void set_length(std::span<uint8_t> frame, const TcpPacket& packet) {
  const std::span<uint8_t> ip = frame.subspan(packet.ip_at);
  if (packet.is_v6) {
    put_16(ip, kIpv6LengthAt, ip.size() - kIpv6Header);
    return;
  }
  put_16(ip, kIpv4LengthAt, ip.size());
  put_16(ip, kIpv4SumAt, 0);
  put_16(ip, kIpv4SumAt, static_cast<uint16_t>(~internet_sum(ip.first(packet.at - packet.ip_at))));
}

bool check(Bytes frame, const Offload& offload) {
  if (frame.size() < kHeaderBytes) return false;
  if (offload.cut != Cut::kNone) {
    const auto packet = find_tcp(frame, offload);
    return packet && offload.segment >= kLeastSegment && packet->payload + offload.segment <= kLongestFrame;
  }
  return !offload.sum_missing || (frame.size() <= kLongestFrame && offload.sum_start >= kHeaderBytes &&
                                  offload.sum_start + offload.sum_offset + 2u <= frame.size());
}

void finish_sum(std::span<uint8_t> frame, const Offload& offload) {
  if (!offload.sum_missing) return;
  const std::span<uint8_t> summed = frame.subspan(offload.sum_start);
  if (offload.cut != Cut::kNone) {
    // Of what is to be cut, drivers do not agree on which length the pseudo header's sum has.
    const auto packet = find_tcp(frame, offload);
    EIDOLON_ASSERT(packet.has_value());
    put_16(summed, offload.sum_offset, pseudo_sum(frame, *packet, summed.size()));
  }
  const auto sum = static_cast<uint16_t>(~internet_sum(summed));
  put_16(summed, offload.sum_offset, sum == 0 ? 0xffff : sum);  // zero is UDP's "no checksum"
}

}  // namespace eidolon::device::net
