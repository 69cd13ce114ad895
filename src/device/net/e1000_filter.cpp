#include "device/net/e1000_filter.h"

#include <cstring>

#include "base/bits.h"
#include "device/net/e1000_registers.h"
#include "device/net/ethernet.h"

namespace eidolon::device::net::e1000 {

namespace {

// The upper half of an address: what is compared (0: the destination), and whether it counts.
constexpr uint32_t kSelect = 3u << 16, kValid = 1u << 31;
constexpr uint32_t kUpperBits = 0xffff | kSelect | kValid;

}  // namespace

void Filter::reset(const MacAddress& address) {
  addresses_ = {};
  std::memcpy(addresses_.data(), address.data(), address.size());
  addresses_[1] |= kValid;
}

uint32_t Filter::read(uint32_t offset) const {
  if (offset >= kVlanTable) return vlans_[(offset - kVlanTable) / 4];
  if (offset < kAddressTable) return multicast_[(offset - kMulticastTable) / 4];
  const uint32_t index = (offset - kAddressTable) / 4;
  return index < addresses_.size() ? addresses_[index] : 0;
}

void Filter::write(uint32_t offset, uint32_t value) {
  if (offset >= kVlanTable) {
    vlans_[(offset - kVlanTable) / 4] = value;
  } else if (offset < kAddressTable) {
    multicast_[(offset - kMulticastTable) / 4] = value;
  } else if (const uint32_t index = (offset - kAddressTable) / 4; index < addresses_.size()) {
    addresses_[index] = index % 2 == 0 ? value : value & kUpperBits;
  }
}

bool Filter::takes(Bytes frame, uint32_t receive_control) const {
  const auto on = [receive_control](uint32_t bits) { return (receive_control & bits) != 0; };
  if (is_broadcast(frame) && on(kRctlBroadcast)) return true;
  if (is_multicast(frame)) {
    if (on(kRctlMulticastPromiscuous)) return true;
    if (has_hash(frame, static_cast<unsigned>(bits(receive_control, 13, 12)))) return true;
  } else if (on(kRctlUnicastPromiscuous)) {
    return true;
  }
  return has_address(frame);
}

bool Filter::has_address(Bytes frame) const {
  for (size_t i = 0; i < addresses_.size(); i += 2) {
    const uint32_t upper = addresses_[i + 1];
    if ((upper & kValid) == 0 || (upper & kSelect) != 0) continue;
    const uint64_t address = addresses_[i] | uint64_t{upper & 0xffff} << 32;
    if (std::memcmp(frame.data(), &address, kAddressBytes) == 0) return true;
  }
  return false;
}

/// Twelve bits of the last two bytes of the address choose a bit of the table; `offset` says which.
bool Filter::has_hash(Bytes frame, unsigned offset) const {
  constexpr std::array<unsigned, 4> kShift = {4, 3, 2, 0};
  const unsigned last = frame[4] | static_cast<unsigned>(frame[5]) << 8;
  const unsigned hash = last >> kShift[offset] & 0xfff;
  return bit(multicast_[hash >> 5], hash & 31);
}

bool Filter::takes_vlan(uint16_t tag, uint32_t receive_control) const {
  if ((receive_control & kRctlVlanFilter) == 0) return true;
  const bool cfi = bit(tag, 12);
  if ((receive_control & kRctlCfiFilter) != 0 && cfi != ((receive_control & kRctlCfi) != 0)) return false;
  const unsigned vlan = tag & 0xfff;
  return bit(vlans_[vlan >> 5], vlan & 31);
}

}  // namespace eidolon::device::net::e1000
