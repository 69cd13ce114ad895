// Which frames the driver wants (virtio 1.2, 5.1.6.5.1 to 5.1.6.5.3): by modes, tables of addresses, and
// VLANs. Until it says anything, all of them.
#pragma once

#include <bitset>
#include <span>
#include <vector>

#include "base/state_stream.h"
#include "device/net/link.h"

namespace eidolon::device::virtio {

class NetFilter {
 public:
  static constexpr size_t kMostAddresses = 64;  ///< in a table; of more, all of their kind are let through
  static constexpr unsigned kVlans = 4096;

  /// `with_vlans`: tags are looked at, too.
  void reset(bool with_vlans);
  /// `own`: the card's address.
  [[nodiscard]] bool accepts(std::span<const uint8_t> frame, const net::MacAddress& own) const;

  // Commands, by the number behind the class; false: there is no such one, or its data is wrong.
  [[nodiscard]] bool set_mode(uint8_t command, std::span<const uint8_t> data);
  [[nodiscard]] bool set_tables(std::span<const uint8_t> data);
  [[nodiscard]] bool set_vlan(uint8_t command, std::span<const uint8_t> data);

  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  /// VIRTIO_NET_CTRL_RX_..., which is also their order in modes_.
  enum Mode : uint8_t { kPromiscuous, kAllGroups, kAllSingle, kNoGroups, kNoSingle, kNoBroadcast, kModes };
  struct Table {
    std::vector<net::MacAddress> addresses;
    bool overflowed = false;
    [[nodiscard]] bool has(std::span<const uint8_t> frame) const;
  };
  bool used_ = false;  ///< the driver has said something
  std::bitset<kModes> modes_;
  Table single_, groups_;
  bool with_vlans_ = false;
  std::bitset<kVlans> vlans_;
};

}  // namespace eidolon::device::virtio
