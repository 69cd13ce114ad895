// Feature bits of the network device (virtio 1.2, 5.1.3). Those of what the guest takes are also the bits of
// VIRTIO_NET_CTRL_GUEST_OFFLOADS.
#pragma once

#include <cstdint>

namespace eidolon::device::virtio::net_feature {

inline constexpr uint64_t kSum = 1u << 0, kGuestSum = 1u << 1, kGuestOffloads = 1u << 2, kAddress = 1u << 5,
                          kGuestTcp4 = 1u << 7, kGuestTcp6 = 1u << 8, kGuestCongestion = 1u << 9,
                          kTcp4 = 1u << 11, kTcp6 = 1u << 12, kCongestion = 1u << 13, kMergeable = 1u << 15,
                          kStatus = 1u << 16, kControl = 1u << 17, kModes = 1u << 18, kVlans = 1u << 19,
                          kMoreModes = 1u << 20, kAnnounce = 1u << 21, kPairs = 1u << 22,
                          kSetAddress = 1u << 23;
/// What the guest takes, if it is negotiated.
inline constexpr uint64_t kGuestTakes = kGuestSum | kGuestTcp4 | kGuestTcp6 | kGuestCongestion;
inline constexpr uint64_t kAll = kSum | kGuestOffloads | kAddress | kGuestTakes | kTcp4 | kTcp6 |
                                 kCongestion | kMergeable | kStatus | kControl | kModes | kVlans |
                                 kMoreModes | kAnnounce |
                                 kSetAddress;  ///< of a device with one pair of queues

}  // namespace eidolon::device::virtio::net_feature
