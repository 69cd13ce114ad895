#include "device/net/e1000_receive.h"

#include "base/bits.h"
#include "device/net/ethernet.h"

namespace eidolon::device::net::e1000 {

namespace {

// Of a descriptor (3.2.3.1, 3.2.3.2).
constexpr uint8_t kDone = 1u << 0, kEndOfPacket = 1u << 1, kIgnoreSums = 1u << 2, kWasTagged = 1u << 3,
                  kTransportChecked = 1u << 5, kIpChecked = 1u << 6;
constexpr uint8_t kTransportError = 1u << 5, kIpError = 1u << 6, kDataError = 1u << 7;
constexpr uint64_t kWriteBackAt = 8;

constexpr size_t kLongestWithoutLong = 1518;  ///< without the checksum, that is 1522 on the wire
constexpr size_t kLongest = 16384 - kCrcBytes;
constexpr uint16_t kGoodSum = 0xffff;

}  // namespace

size_t Receiver::buffer_bytes() const {
  const uint32_t control = bank_.get<kRctl>();
  return (size_t{2048} >> bits(control, 17, 16)) * ((control & kRctlSizeTimes16) != 0 ? 16 : 1);
}

bool Receiver::receive(Bytes frame, Dma& dma, Ring& ring) {
  const uint32_t control = bank_.get<kRctl>();
  if ((control & kRctlEnable) == 0 || !dma.enabled()) return true;  // nobody listens
  const bool long_ones = (control & kRctlLong) != 0;
  if (frame.size() < kHeaderBytes || frame.size() > (long_ones ? kLongest : kLongestWithoutLong)) return true;
  const bool tagged =
      frame.size() >= kHeaderBytes + kTagBytes && get_16(frame, kTypeAt) == (bank_.get<kVet>() & 0xffff);
  if (!filter_.takes(frame, control) ||
      (tagged && !filter_.takes_vlan(get_16(frame, kTypeAt + 2), control))) {
    counters_.held_back(frame);
    return true;
  }
  Verdict verdict = prepare(frame, tagged);
  if (!ring.sane()) {
    counters_.missed();
    return true;
  }
  const size_t buffers = (bytes_.size() + buffer_bytes() - 1) / buffer_bytes();
  if (ring.available() < buffers) {
    if (buffers < ring.entries()) {
      if (!waiting_) counters_.found_no_buffer();
      waiting_ = true;
      return false;
    }
    counters_.missed();  // there will never be enough
    return true;
  }
  waiting_ = false;
  if (!fill(dma, ring, verdict)) {
    counters_.missed();
    return true;
  }
  counters_.received(frame);
  tell(ring);
  return true;
}

/// Puts the frame's bytes into bytes_ as memory is to have them.
Receiver::Verdict Receiver::prepare(Bytes frame, bool tagged) {
  Verdict verdict;
  check_sums(frame, verdict);
  bytes_.assign(frame.begin(), frame.end());
  if (bytes_.size() < kShortestFrame) bytes_.resize(kShortestFrame);
  if (!bank_.has<kRctl>(kRctlStripCrc)) {
    const uint32_t check = frame_check(bytes_);
    for (unsigned i = 0; i < kCrcBytes; ++i) bytes_.push_back(static_cast<uint8_t>(check >> (8 * i)));
  }
  if (tagged && bank_.has<kCtrl>(kCtrlVlanMode)) {
    verdict.status |= kWasTagged;
    verdict.tag = get_16(frame, kTypeAt + 2);
    bytes_.erase(bytes_.begin() + kTypeAt, bytes_.begin() + kTypeAt + kTagBytes);
  }
  const size_t start = std::min<size_t>(bank_.get<kRxcsum>() & 0xff, bytes_.size());
  verdict.sum = internet_sum(Bytes(bytes_).subspan(start));
  return verdict;
}

/// 3.2.9: what is asked for in RXCSUM, of packets in which it can be seen.
void Receiver::check_sums(Bytes frame, Verdict& verdict) const {
  const auto packet = find_transport(frame);
  if (packet && packet->ip_header != 0 && bank_.has<kRxcsum>(kRxcsumIp)) {
    verdict.status |= kIpChecked;
    if (internet_sum(frame.subspan(packet->ip_at, packet->ip_header)) != kGoodSum) verdict.errors |= kIpError;
  }
  if (packet && bank_.has<kRxcsum>(kRxcsumTcp) && has_checksum(frame, *packet)) {
    verdict.status |= kTransportChecked;
    const Bytes segment = frame.subspan(packet->at, packet->end - packet->at);
    if (internet_sum(segment, packet->pseudo) != kGoodSum) verdict.errors |= kTransportError;
  }
  if ((verdict.status & (kIpChecked | kTransportChecked)) == 0) verdict.status |= kIgnoreSums;
}

/// False: the ring is not in memory. There are enough descriptors.
bool Receiver::fill(Dma& dma, Ring& ring, Verdict verdict) {
  const size_t most = buffer_bytes();
  bool lost = false;
  for (size_t at = 0; at < bytes_.size();) {
    const size_t count = std::min(most, bytes_.size() - at);
    GuestPhysical buffer = 0;
    if (!dma.read(ring.head_address(), &buffer, sizeof buffer)) return false;
    if (!dma.write(buffer, bytes_.data() + at, count)) lost = true;
    at += count;
    uint64_t result = count | uint64_t{kDone} << 32;
    if (at == bytes_.size()) {
      if (lost) verdict.errors |= kDataError;
      result |= uint64_t{verdict.sum} << 16 | uint64_t{kEndOfPacket} << 32 | uint64_t{verdict.status} << 32 |
                uint64_t{verdict.errors} << 40 | uint64_t{verdict.tag} << 48;
    }
    // SAFETY: eight bytes of guest RAM that Dma has checked, which stay mapped as long as the machine. Rings
    // begin at multiples of 16 and regions on pages, so the access is aligned: the driver sees all of it or
    // nothing.
    const GuestPhysical place = ring.head_address() + kWriteBackAt;
    const std::span<uint8_t> bytes = dma.writable(place, sizeof result);
    if (bytes.empty()) return false;
    __atomic_store_n(reinterpret_cast<uint64_t*>(bytes.data()), result, __ATOMIC_RELEASE);
    dma.written(place, sizeof result);
    ring.advance();
  }
  return true;
}

void Receiver::tell(const Ring& ring) {
  uint32_t causes = kReceiveDone;
  const unsigned fraction = 2u << bits(bank_.get<kRctl>(), 9, 8);
  if (ring.available() * fraction <= ring.entries()) causes |= kReceiveLow;
  if (bytes_.size() <= bank_.get<kRsrpd>()) causes |= kSmallFrame;
  interrupts_.raise(causes);
}

}  // namespace eidolon::device::net::e1000
