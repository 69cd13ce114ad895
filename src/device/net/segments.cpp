#include "device/net/segments.h"

#include <algorithm>

namespace eidolon::device::net {

namespace {
constexpr uint8_t kOnlyFirstFlags = 0x80;  ///< CWR
constexpr uint8_t kOnlyLastFlags = 0x09;   ///< FIN and PSH
}  // namespace

bool Segments::begin(Bytes frame, const Offload& offload) {
  left_ = check(frame, offload);
  if (!left_) return false;
  bytes_.assign(frame.begin(), frame.end());
  offload_ = offload;
  count_ = 0;
  if (offload.cut == Cut::kNone) return true;
  packet_ = *find_tcp(frame, offload);
  at_ = packet_.payload;
  return true;
}

bool Segments::next(std::vector<uint8_t>& frame) {
  if (!left_) return false;
  if (offload_.cut != Cut::kNone) {
    next_segment(frame);
    return true;
  }
  finish_sum(bytes_, offload_);
  frame.swap(bytes_);
  left_ = false;
  return true;
}

void Segments::next_segment(std::vector<uint8_t>& frame) {
  const size_t part = std::min<size_t>(offload_.segment, bytes_.size() - at_);
  const auto begin = bytes_.begin();
  frame.assign(begin, begin + static_cast<ptrdiff_t>(packet_.payload));
  frame.insert(frame.end(), begin + static_cast<ptrdiff_t>(at_), begin + static_cast<ptrdiff_t>(at_ + part));
  const size_t sent = at_ - packet_.payload;
  at_ += part;
  left_ = at_ < bytes_.size();

  const std::span<uint8_t> all(frame);
  const std::span<uint8_t> ip = all.subspan(packet_.ip_at), tcp = all.subspan(packet_.at);
  if (!packet_.is_v6) put_16(ip, kIpv4NumberAt, get_16(ip, kIpv4NumberAt) + count_);
  set_length(all, packet_);
  put_32(tcp, kTcpSequenceAt, get_32(tcp, kTcpSequenceAt) + sent);
  if (count_ != 0) tcp[kTcpFlagsAt] &= static_cast<uint8_t>(~kOnlyFirstFlags);
  if (left_) tcp[kTcpFlagsAt] &= static_cast<uint8_t>(~kOnlyLastFlags);
  put_16(tcp, kTcpSumAt, pseudo_sum(frame, packet_, tcp.size()));
  put_16(tcp, kTcpSumAt, static_cast<uint16_t>(~internet_sum(tcp)));
  ++count_;
}

bool Delivery::deliver(Card& card, Bytes frame, const Offload& offload) {
  if (!under_way_) {
    if (offload.finished() || (card.takes(offload) && check(frame, offload)))
      return card.receive_large(frame, offload);
    if (!segments_.begin(frame, offload) || !segments_.next(frame_)) return true;
  }
  do under_way_ = !card.receive(frame_);
  while (!under_way_ && segments_.next(frame_));
  return !under_way_;
}

}  // namespace eidolon::device::net
