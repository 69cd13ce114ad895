// The card's transceiver, a Marvell 88E1011, which the driver reaches through MDIC (317453, 8.2 and chapter
// 13.4.6; IEEE 802.3, 22.2.4 for the registers that all have).
//
// The other end of the cable agrees to everything, at once; it does not understand PAUSE frames, and says so.
#pragma once

#include <array>
#include <cstdint>

#include "base/state_stream.h"

namespace eidolon::device::net::e1000 {

class Phy {
 public:
  static constexpr unsigned kRegisters = 32;
  enum class Speed : uint8_t { k10, k100, k1000 };

  Phy() { reset(); }
  /// The cable is not pulled by it.
  void reset();

  [[nodiscard]] uint16_t read(unsigned index);
  /// True if the driver is to be told of the link: it changed, or was agreed upon again.
  [[nodiscard]] bool write(unsigned index, uint16_t value);
  /// True as above. Whether there is anybody at the other end.
  [[nodiscard]] bool set_cable(bool plugged);

  [[nodiscard]] bool link_up() const;
  [[nodiscard]] Speed speed() const;
  [[nodiscard]] bool full_duplex() const;
  [[nodiscard]] bool loops_back() const;

  void save(StateWriter& to) const { to(registers_, link_was_lost_); }
  void load(StateReader& from);

 private:
  [[nodiscard]] uint16_t status() const;
  [[nodiscard]] uint16_t specific_status() const;

  std::array<uint16_t, kRegisters> registers_{};
  bool link_was_lost_ = false;  ///< since the status was read
  bool plugged_ = true;
};

}  // namespace eidolon::device::net::e1000
