// The card's EEPROM: 64 words on a Microwire interface that the driver clocks by hand in EECD, or reads by
// EERD (317453, chapter 5, 13.4.4, 13.4.5). It keeps what a driver writes for as long as the machine is
// there.
//
//   CS rises: waiting for a start bit -> opcode and address -> READ: words, one bit a clock, D15 first
//                                                           -> WRITE: 16 bits, done when CS falls
#pragma once

#include <array>
#include <cstdint>

#include "base/state_stream.h"
#include "device/net/link.h"

namespace eidolon::device::net::e1000 {

class Eeprom {
 public:
  static constexpr unsigned kWords = 64;

  struct Identity {
    uint16_t vendor, device, subsystem_vendor, subsystem;
  };
  Eeprom(const MacAddress& address, const Identity& identity);

  [[nodiscard]] MacAddress address() const;
  /// The interface, not what is in it.
  void reset();

  [[nodiscard]] uint32_t control() const;  ///< EECD
  void set_control(uint32_t value);
  [[nodiscard]] uint32_t read() const { return read_; }  ///< EERD
  void set_read(uint32_t value);

  void save(StateWriter& to) const { fields(*this, to); }
  void load(StateReader& from);

 private:
  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& stream) {
    stream(self.words_, self.lines_, self.read_, self.shifted_, self.bits_, self.address_, self.out_,
           self.command_, self.writable_);
  }
  enum class Command : uint8_t { kNone, kRead, kWrite, kErase, kIgnored };

  void clock(bool in);
  void begin(uint32_t opcode_and_address);
  void finish();

  std::array<uint16_t, kWords> words_{};
  uint32_t lines_ = 0;    ///< of EECD, as written
  uint32_t read_ = 0;     ///< EERD
  uint32_t shifted_ = 0;  ///< bits that came in
  uint8_t bits_ = 0;      ///< how many
  uint8_t address_ = 0;
  bool out_ = true;  ///< DO
  Command command_ = Command::kNone;
  bool writable_ = false;  ///< EWEN was given
};

}  // namespace eidolon::device::net::e1000
