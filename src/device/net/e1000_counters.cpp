#include "device/net/e1000_counters.h"

#include <algorithm>

#include "device/net/ethernet.h"

namespace eidolon::device::net::e1000 {

namespace {

/// Which of the six classes from 64 bytes on a length is in.
unsigned size_class(size_t bytes) {
  constexpr std::array<size_t, 5> kLast = {64, 127, 255, 511, 1023};
  return static_cast<unsigned>(std::ranges::lower_bound(kLast, bytes) - kLast.begin());
}

/// Counters are of what is on the wire.
size_t wire_bytes(std::span<const uint8_t> frame) {
  return std::max(frame.size(), kShortestFrame) + kCrcBytes;
}

}  // namespace

void Counters::add(unsigned index) {
  if (values_[index] != ~uint32_t{0}) ++values_[index];
}

void Counters::add_wide(unsigned index, uint64_t bytes) {
  const uint64_t old = values_[index] | uint64_t{values_[index + 1]} << 32;
  const uint64_t sum = old + bytes < old ? ~uint64_t{0} : old + bytes;
  values_[index] = static_cast<uint32_t>(sum);
  values_[index + 1] = static_cast<uint32_t>(sum >> 32);
}

/// Those with 64 bits are cleared when their upper half is read.
uint32_t Counters::read(unsigned index) {
  const auto is_half = [index](unsigned which) {
    return std::ranges::any_of(
        std::array<unsigned, 4>{kGoodBytesReceived, kGoodBytesSent, kBytesReceived, kBytesSent},
        [=](unsigned wide) { return index == wide + which; });
  };
  const uint32_t value = values_[index];
  if (is_half(0)) return value;
  if (is_half(1)) values_[index - 1] = 0;
  values_[index] = 0;
  return value;
}

void Counters::received(std::span<const uint8_t> frame) {
  const size_t bytes = wire_bytes(frame);
  held_back(frame);
  add(kGoodReceived);
  add_wide(kGoodBytesReceived, bytes);
  add(kReceivedBySize + size_class(bytes));
  if (is_broadcast(frame)) {
    add(kBroadcastsReceived);
  } else if (is_multicast(frame)) {
    add(kMulticastsReceived);
  }
}

void Counters::held_back(std::span<const uint8_t> frame) {
  add(kAllReceived);
  add_wide(kBytesReceived, wire_bytes(frame));
}

void Counters::sent(std::span<const uint8_t> frame) {
  const size_t bytes = wire_bytes(frame);
  add(kAllSent);
  add(kGoodSent);
  add_wide(kBytesSent, bytes);
  add_wide(kGoodBytesSent, bytes);
  add(kSentBySize + size_class(bytes));
  if (is_broadcast(frame)) {
    add(kBroadcastsSent);
  } else if (is_multicast(frame)) {
    add(kMulticastsSent);
  }
}

}  // namespace eidolon::device::net::e1000
