// The messages of vhost-user (QEMU, docs/interop/vhost-user.rst) that a front end without migration needs:
// numbers and layouts, in the host's byte order.
#pragma once

#include <array>
#include <cstdint>

namespace eidolon::vhost {

enum class Request : uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kSetMemoryTable = 5,
  kSetRingSize = 8,
  kSetRingAddresses = 9,
  kSetRingBase = 10,
  kGetRingBase = 11,  ///< and the ring stops
  kSetRingKick = 12,
  kSetRingCall = 13,
  kGetProtocolFeatures = 15,
  kSetProtocolFeatures = 16,
  kGetQueueCount = 17,
  kSetRingEnable = 18,
  kGetConfig = 24,
};

/// Before each message, either way.
struct Header {
  uint32_t request;
  uint32_t flags;
  uint32_t size;  ///< of what follows
};
inline constexpr uint32_t kVersion = 1, kVersionMask = 3, kReply = 1u << 2, kNeedReply = 1u << 3;

/// Among the features of the device: there are those of the protocol as well.
inline constexpr uint64_t kFeatureProtocol = uint64_t{1} << 30;
// Of the protocol.
inline constexpr uint64_t kProtocolQueues = 1u << 0, kProtocolAcknowledge = 1u << 3,
                          kProtocolConfig = 1u << 9;

struct RingState {
  uint32_t index;
  uint32_t value;
};
/// Addresses as the memory table's `user` has them.
struct RingAddresses {
  uint32_t index;
  uint32_t flags;
  uint64_t descriptors;
  uint64_t used;
  uint64_t available;
  uint64_t log;
};
/// Which ring an event descriptor is for.
inline constexpr uint64_t kRingMask = 0xff;

/// A region is what descriptors call `guest` on, and is found in the file that was sent for it.
struct MemoryRegion {
  uint64_t guest;
  uint64_t size;
  uint64_t user;
  uint64_t offset;
};
struct MemoryTable {
  static constexpr uint32_t kRegions = 2;
  uint32_t count = kRegions;
  uint32_t padding = 0;
  std::array<MemoryRegion, kRegions> regions;
};
static_assert(sizeof(MemoryTable) == 8 + 2 * 32);

/// Before the bytes of the device's configuration.
struct ConfigPart {
  uint32_t offset;
  uint32_t size;
  uint32_t flags;
};

}  // namespace eidolon::vhost
