// A guest's sockets and what carries them on the host: the two ends of a wire, as net/link.h has them for
// frames. What passes is packets of virtio 1.2, 5.10.6.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace eidolon::device::virtio {

inline constexpr uint64_t kVsockHost = 2;  ///< the host's address (CID)

enum class VsockOperation : uint16_t {
  kInvalid = 0,
  kRequest,
  kResponse,
  kReset,
  kShutdown,
  kData,
  kCreditUpdate,
  kCreditRequest
};

inline constexpr uint16_t kVsockStream = 1;  ///< the type of all sockets here
/// Flags of a shutdown: the sender of the packet receives no more, sends no more.
inline constexpr uint32_t kVsockNoReceive = 1, kVsockNoSend = 2;

/// As it is in memory.
struct [[gnu::packed]] VsockHeader {
  uint64_t source_cid = 0;
  uint64_t destination_cid = 0;
  uint32_t source_port = 0;
  uint32_t destination_port = 0;
  uint32_t length = 0;  ///< of the payload
  uint16_t type = 0;
  VsockOperation operation = VsockOperation::kInvalid;
  uint32_t flags = 0;
  uint32_t buffer = 0;     ///< how many bytes the sender keeps for the stream (buf_alloc)
  uint32_t forwarded = 0;  ///< and how many it has got rid of, ever (fwd_cnt)
};
static_assert(sizeof(VsockHeader) == 44);

struct VsockPacket {
  uint64_t life = 0;  ///< VsockGuest::life() when it was sent
  VsockHeader header;
  std::vector<uint8_t> payload;
};

/// The guest's end: the device. Called from the host's thread; takes the device's own lock.
class VsockGuest {
 public:
  static constexpr uint32_t kMostPayload = 64 * 1024;

  virtual ~VsockGuest() = default;
  /// Another number after each reset: the guest has forgotten all its sockets.
  [[nodiscard]] virtual uint64_t life() = 0;
  /// The next packet from the guest, if there is one. What is no packet comes with kInvalid.
  [[nodiscard]] virtual bool next_packet(VsockPacket& packet) = 0;
  /// A packet for the guest. Of a payload, how much it takes now, in packets of their own; nothing: there is
  /// no room even for the header. One from before a reset is taken and forgotten.
  [[nodiscard]] virtual std::optional<size_t> receive(uint64_t life, const VsockHeader& header,
                                                      std::span<const uint8_t> payload) = 0;
};

/// The host's end.
class VsockWire {
 public:
  virtual ~VsockWire() = default;
  /// One guest, or null: when this returns, the one before is not called any more. Not with the device's lock
  /// held.
  virtual void plug(VsockGuest* guest) = 0;
  /// There may be packets, or room for them, or another life. At once, with the device's lock held or not.
  virtual void wake() = 0;
};

}  // namespace eidolon::device::virtio
