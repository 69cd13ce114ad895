// What the DP8390 sends and receives.
#include <algorithm>

#include "device/net/dp8390.h"
#include "device/net/ethernet.h"

namespace eidolon::device::net {

namespace {

constexpr uint8_t kTransmitting = 4;  ///< of the command register
// Interrupt status.
constexpr uint8_t kReceived = 1, kSent = 2;
// Transmit configuration and status.
constexpr uint8_t kLoopback = 3 << 1, kSentWell = 1, kNoCarrier = 0x10;
// Receive configuration and status, which is also the first byte before a frame in the ring.
constexpr uint8_t kBroadcasts = 4, kGroups = 8, kPromiscuous = 0x10, kMonitor = 0x20;
constexpr uint8_t kWhole = 1, kOfGroup = 0x20;

constexpr size_t kRingHeader =
    4;  ///< status, the next page, and a length that has the frame's checksum in it

/// The upper six bits of the frame check sequence of an address, as it goes over the wire (first bit first).
unsigned group_of(Bytes address) {
  const uint32_t sum = ~frame_check(address);
  unsigned group = 0;
  for (unsigned i = 0; i < 6; ++i) group = group << 1 | (sum >> i & 1);
  return group;
}

}  // namespace

bool Dp8390::frame_to_send(std::vector<uint8_t>& frame) const {
  if ((transmit_configuration_ & kLoopback) != 0 || transmit_bytes_ < kHeaderBytes ||
      transmit_bytes_ > kLongestFrame)
    return false;
  frame.resize(transmit_bytes_);
  for (uint32_t i = 0; i < transmit_bytes_; ++i) frame[i] = peek(transmit_page_ * kPageBytes + i);
  return true;
}

void Dp8390::finish_sending(bool carrier) {
  command_ &= static_cast<uint8_t>(~kTransmitting);
  transmit_status_ = static_cast<uint8_t>(kSentWell | (carrier ? 0 : kNoCarrier));
  interrupts_ |= kSent;
}

bool Dp8390::wants(Bytes frame) const {
  if ((receive_configuration_ & kPromiscuous) != 0) return true;
  if (is_broadcast(frame)) return (receive_configuration_ & kBroadcasts) != 0;
  if (!is_multicast(frame)) return std::ranges::equal(address_, frame.first(kAddressBytes));
  const unsigned group = group_of(frame.first(kAddressBytes));
  return (receive_configuration_ & kGroups) != 0 && (groups_[group / 8] >> group % 8 & 1) != 0;
}

/// Whatever the driver has written: the ring's pages are in memory, and so is where it goes on.
bool Dp8390::ring_is_possible() const {
  return first_page_ >= kMemoryAt / kPageBytes && end_page_ <= (kMemoryAt + kMemoryBytes) / kPageBytes &&
         first_page_ < end_page_ && current_ >= first_page_ && current_ < end_page_;
}

/// Pages from where it writes to what the driver has not read. Both at one page: nothing is unread; so it is
/// with a boundary that is none. Drivers name the page before the one that they read next, also where that is
/// the first.
unsigned Dp8390::room() const {
  const unsigned all = end_page_ - first_page_;
  if (boundary_ + 1 < first_page_ || boundary_ >= end_page_) return all;
  return current_ < boundary_ ? boundary_ - current_ : all - (current_ - boundary_);
}

Dp8390::Outcome Dp8390::receive(Bytes frame) {
  if (stopped() || (receive_configuration_ & kMonitor) != 0 || !ring_is_possible() ||
      frame.size() < kHeaderBytes || frame.size() > kLongestFrame || !wants(frame))
    return Outcome::kTaken;
  const size_t padded = std::max(frame.size(), kShortestFrame), length = padded + kCrcBytes;
  const auto pages = static_cast<unsigned>((kRingHeader + length + kPageBytes - 1) / kPageBytes);
  const unsigned all = end_page_ - first_page_;
  if (pages >= all) return Outcome::kTaken;
  if (pages >= room()) {
    // A driver that reads some frames and acknowledges all (Linux: ten) is told of the others by the next
    // one, which cannot come before it reads them.
    interrupts_ |= kReceived;
    return Outcome::kLater;
  }

  unsigned next = current_ + pages;
  if (next >= end_page_) next -= all;
  receive_status_ = static_cast<uint8_t>(kWhole | (is_multicast(frame) ? kOfGroup : 0));
  std::vector<uint8_t> bytes = {receive_status_, static_cast<uint8_t>(next), static_cast<uint8_t>(length),
                                static_cast<uint8_t>(length >> 8)};
  bytes.insert(bytes.end(), frame.begin(), frame.end());
  bytes.resize(kRingHeader + padded);
  const uint32_t check = frame_check(Bytes(bytes).subspan(kRingHeader));
  for (unsigned i = 0; i < kCrcBytes; ++i) bytes.push_back(static_cast<uint8_t>(check >> (8 * i)));
  uint32_t at = current_ * kPageBytes;
  for (const uint8_t byte : bytes) {
    poke(at, byte);
    if (++at == end_page_ * kPageBytes) at = first_page_ * kPageBytes;
  }
  current_ = static_cast<uint8_t>(next);
  interrupts_ |= kReceived;
  return Outcome::kTaken;
}

}  // namespace eidolon::device::net
