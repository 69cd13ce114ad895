#include "device/net/coalesce.h"

#include <algorithm>

#include "base/assert.h"

namespace eidolon::device::net {

namespace {
constexpr size_t kIpv4Header = 20, kIpv6Header = 40,
                 kMostHeaders = kHeaderBytes + kTagBytes + kIpv6Header + 60;
constexpr size_t kMostPacket = 65535;
constexpr size_t kHeaderAt = 12;
constexpr uint8_t kPush = 0x08, kAcknowledge = 0x10;

struct Segment {
  TcpPacket packet;
  size_t end;
};

/// One with data that tells its receiver nothing else.
std::optional<Segment> find_segment(Bytes frame) {
  const auto found = find_transport(frame);
  if (!found || found->protocol != kTcp || !has_checksum(frame, *found)) return std::nullopt;
  const bool is_v6 = found->ip_header == 0;
  const size_t payload = found->at + (frame[found->at + kHeaderAt] >> 4 << 2);
  if ((!is_v6 && found->ip_header != kIpv4Header) || payload < found->at + 20 || payload >= found->end)
    return std::nullopt;
  if ((frame[found->at + kTcpFlagsAt] & ~kPush) != kAcknowledge) return std::nullopt;
  return Segment{.packet = {.ip_at = found->ip_at, .is_v6 = is_v6, .at = found->at, .payload = payload},
                 .end = found->end};
}

}  // namespace

bool Coalescer::begin(Bytes frame) {
  const auto found = find_segment(frame);
  if (!found || (frame[found->packet.at + kTcpFlagsAt] & kPush) != 0) return false;
  packet_ = found->packet;
  segment_ = found->end - packet_.payload;
  count_ = 1;
  closed_ = false;
  bytes_.reserve(kHeaderBytes + kTagBytes + kMostPacket);
  bytes_.assign(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(found->end));
  return true;
}

bool Coalescer::add(Bytes frame) {
  if (empty() || closed_) return false;
  const auto found = find_segment(frame);
  if (!found || found->packet.payload != packet_.payload || found->packet.at != packet_.at) return false;
  const size_t part = found->end - packet_.payload;
  if (part > segment_ || bytes_.size() - packet_.ip_at + part > kMostPacket) return false;

  // The headers that Segments would make, but for what follows from the rest.
  std::array<uint8_t, kMostHeaders> expected;
  std::copy_n(bytes_.begin(), packet_.payload, expected.begin());
  const std::span<uint8_t> ip = std::span(expected).subspan(packet_.ip_at),
                           tcp = std::span(expected).subspan(packet_.at);
  const Bytes new_ip = frame.subspan(packet_.ip_at), new_tcp = frame.subspan(packet_.at);
  if (packet_.is_v6) {
    put_16(ip, kIpv6LengthAt, get_16(new_ip, kIpv6LengthAt));
  } else {
    put_16(ip, kIpv4LengthAt, get_16(new_ip, kIpv4LengthAt));
    put_16(ip, kIpv4NumberAt, get_16(ip, kIpv4NumberAt) + count_);
    put_16(ip, kIpv4SumAt, get_16(new_ip, kIpv4SumAt));
  }
  put_32(tcp, kTcpSequenceAt, get_32(tcp, kTcpSequenceAt) + bytes_.size() - packet_.payload);
  put_16(tcp, kTcpSumAt, get_16(new_tcp, kTcpSumAt));
  tcp[kTcpFlagsAt] = new_tcp[kTcpFlagsAt];
  if (!std::ranges::equal(frame.first(packet_.payload), std::span(expected).first(packet_.payload)))
    return false;

  bytes_.insert(bytes_.end(), frame.begin() + static_cast<ptrdiff_t>(packet_.payload),
                frame.begin() + static_cast<ptrdiff_t>(found->end));
  bytes_[packet_.at + kTcpFlagsAt] = new_tcp[kTcpFlagsAt];  // PSH, if it is the last
  ++count_;
  closed_ = part < segment_ || (new_tcp[kTcpFlagsAt] & kPush) != 0;
  return true;
}

Offload Coalescer::finish() {
  EIDOLON_ASSERT(!empty());
  if (count_ == 1) return {.sum_valid = true};
  const std::span<uint8_t> all(bytes_);
  set_length(all, packet_);
  put_16(all, packet_.at + kTcpSumAt, pseudo_sum(bytes_, packet_, bytes_.size() - packet_.at));
  return {.sum_missing = true,
          .sum_start = static_cast<uint16_t>(packet_.at),
          .sum_offset = kTcpSumAt,
          .cut = packet_.is_v6 ? Cut::kTcp6 : Cut::kTcp4,
          .segment = static_cast<uint16_t>(segment_)};
}

}  // namespace eidolon::device::net
