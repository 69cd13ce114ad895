// What is in a frame, as far as network cards look into it: Ethernet and 802.1Q, IPv4 and IPv6, and the
// checksum of the Internet (RFC 1071).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "device/net/link.h"

namespace eidolon::device::net {

using Bytes = std::span<const uint8_t>;

inline constexpr size_t kShortestFrame = 60, kCrcBytes = 4, kAddressBytes = 6;
inline constexpr size_t kTypeAt = 12;

// Numbers on the wire have their upper byte first.
[[nodiscard]] inline uint16_t get_16(Bytes bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}
[[nodiscard]] inline uint32_t get_32(Bytes bytes, size_t at) {
  return uint32_t{get_16(bytes, at)} << 16 | get_16(bytes, at + 2);
}
inline void put_16(std::span<uint8_t> bytes, size_t at, uint64_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}
inline void put_32(std::span<uint8_t> bytes, size_t at, uint64_t value) {
  put_16(bytes, at, value >> 16);
  put_16(bytes, at + 2, value);
}

// `frame` has an Ethernet header.
[[nodiscard]] inline bool is_multicast(Bytes frame) { return (frame[0] & 1) != 0; }
[[nodiscard]] inline bool is_broadcast(Bytes frame) {
  return std::ranges::all_of(frame.first(kAddressBytes), [](uint8_t byte) { return byte == 0xff; });
}

/// The sum of all 16-bit words in one's complement, not inverted. An odd last byte is an upper one.
[[nodiscard]] uint16_t internet_sum(Bytes bytes, uint32_t initial = 0);

/// The frame check sequence, in the order of the wire.
[[nodiscard]] uint32_t frame_check(Bytes frame);

/// An IP packet in a frame, and what it carries.
struct Transport {
  size_t ip_at;      ///< where the IP header begins
  size_t ip_header;  ///< bytes of it; 0: IPv6, which has no checksum
  size_t at;         ///< where the transport's header begins
  size_t end;        ///< where the packet ends, by its own length
  uint8_t protocol;  ///< kTcp or kUdp; kNoProtocol for a fragment; or another, which is not looked into
  uint32_t pseudo;   ///< the sum of the pseudo header
};
inline constexpr uint8_t kTcp = 6, kUdp = 17, kNoProtocol = 255;

/// The packet behind the Ethernet header and, if there is one, a tag; nothing if it is no whole IP packet.
[[nodiscard]] std::optional<Transport> find_transport(Bytes frame);
/// Whether it is TCP or UDP with a checksum.
[[nodiscard]] bool has_checksum(Bytes frame, const Transport& packet);

}  // namespace eidolon::device::net
