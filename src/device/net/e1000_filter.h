// Which frames a card of the 8254x family takes (317453, 13.5, 9.3): by address, by a hash of multicast
// addresses, and by VLAN.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/state_stream.h"
#include "device/net/link.h"

namespace eidolon::device::net::e1000 {

class Filter {
 public:
  /// The first address is the card's own, from its EEPROM; tables keep what they have (13.5).
  void reset(const MacAddress& address);

  // By the guest; `offset` is that of the register.
  [[nodiscard]] uint32_t read(uint32_t offset) const;
  void write(uint32_t offset, uint32_t value);

  /// `receive_control` is RCTL.
  [[nodiscard]] bool takes(std::span<const uint8_t> frame, uint32_t receive_control) const;
  /// `tag`: of a frame that has one.
  [[nodiscard]] bool takes_vlan(uint16_t tag, uint32_t receive_control) const;

  void save(StateWriter& to) const { to(addresses_, multicast_, vlans_); }
  void load(StateReader& from) { from(addresses_, multicast_, vlans_); }

 private:
  static constexpr size_t kAddresses = 16;
  [[nodiscard]] bool has_address(std::span<const uint8_t> frame) const;
  [[nodiscard]] bool has_hash(std::span<const uint8_t> frame, unsigned offset) const;

  std::array<uint32_t, 2 * kAddresses> addresses_{};  ///< lower and upper half in turn
  std::array<uint32_t, 128> multicast_{};
  std::array<uint32_t, 128> vlans_{};
};

}  // namespace eidolon::device::net::e1000
