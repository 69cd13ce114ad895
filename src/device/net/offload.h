// What the sender of a frame has left to others: a checksum to fill in, or a long packet to be cut into
// segments; and the ten bytes that say so, as they are before a frame of virtio (1.2, 5.1.6), of a tap device
// with IFF_VNET_HDR, and between `eidolon switch` and its machines.
//
// All of it may have been written by a guest: check() says what can be done as it says.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "device/net/ethernet.h"

namespace eidolon::device::net {

/// Of frames whose packets are to be cut: what IP can say of a packet, and what is before it.
inline constexpr size_t kLongestLarge = kHeaderBytes + 2 * kTagBytes + 65535;

enum class Cut : uint8_t { kNone, kTcp4, kTcp6 };

struct Offload {
  bool sum_missing = false;  ///< of all from sum_start on, to be put at sum_start + sum_offset, which has
                             ///< the sum of the pseudo header
  bool sum_valid = false;  ///< the transport's checksum was looked at, or comes from somebody who is trusted
  uint16_t sum_start = 0;
  uint16_t sum_offset = 0;
  Cut cut = Cut::kNone;
  bool congestion = false;  ///< a segment may have CWR set (only the first is to have it)
  uint16_t segment = 0;     ///< bytes of payload in each

  /// Whether the frame is as it goes over a wire.
  [[nodiscard]] bool finished() const { return !sum_missing && cut == Cut::kNone; }
  bool operator==(const Offload&) const = default;
};

inline constexpr size_t kOffloadBytes = 10;
using OffloadBytes = std::array<uint8_t, kOffloadBytes>;

/// `header_bytes`: of the frame, before the payload of its packet, if it is to be cut; a hint.
[[nodiscard]] OffloadBytes encode(const Offload& offload, size_t header_bytes);
/// Nothing for what is not known here.
[[nodiscard]] std::optional<Offload> decode(std::span<const uint8_t, kOffloadBytes> bytes);

/// A TCP packet that can be cut. Offsets in its frame.
struct TcpPacket {
  size_t ip_at;
  bool is_v6;
  size_t at;       ///< where the TCP header begins
  size_t payload;  ///< where it ends
};
// In its headers (RFC 791, RFC 8200, RFC 9293).
inline constexpr size_t kIpv4LengthAt = 2, kIpv4NumberAt = 4, kIpv4SumAt = 10, kIpv6LengthAt = 4;
inline constexpr size_t kTcpSequenceAt = 4, kTcpFlagsAt = 13, kTcpSumAt = 16;
/// The packet of a frame that is to be cut as `offload` says; nothing if it cannot be.
[[nodiscard]] std::optional<TcpPacket> find_tcp(Bytes frame, const Offload& offload);
/// The sum of the pseudo header of a packet of `length` bytes behind its IP header.
[[nodiscard]] uint16_t pseudo_sum(Bytes frame, const TcpPacket& packet, size_t length);

/// Makes the packet's IP header say that it goes to the end of the frame.
void set_length(std::span<uint8_t> frame, const TcpPacket& packet);

/// Whether frame and offload fit together: that finish_sum() or Segments will do what was asked.
[[nodiscard]] bool check(Bytes frame, const Offload& offload);

/// Fills in the checksum. A packet that is to be cut is left as long as it is: for whoever takes such ones.
/// Of what check() has found good.
void finish_sum(std::span<uint8_t> frame, const Offload& offload);

}  // namespace eidolon::device::net
