// One 8237A DMA controller (Intel 231466): four channels, each with an address, a count and a mode.
#pragma once

#include <array>
#include <cstdint>

#include "base/state_stream.h"

namespace eidolon::device {

class DmaChip {
 public:
  static constexpr unsigned kChannels = 4;

  struct Channel {
    uint16_t base_address = 0, base_count = 0;
    uint16_t address = 0, count = 0;  ///< current; the count is one less than what is left
    uint8_t mode = 0;

    static constexpr uint8_t kToMemory = 1, kFromMemory = 2;
    [[nodiscard]] unsigned type() const { return mode >> 2 & 3; }  ///< 0: verify, nothing moves
    [[nodiscard]] bool reloads() const { return (mode & 0x10) != 0; }
    [[nodiscard]] bool descends() const { return (mode & 0x20) != 0; }
  };

  /// `number` is 0 to 15.
  [[nodiscard]] uint8_t read(unsigned number);
  void write(unsigned number, uint8_t value);

  /// A channel that a device's request reaches.
  [[nodiscard]] bool open(unsigned channel) const;
  /// One unit was moved. True at the terminal count.
  bool advance(unsigned channel);
  [[nodiscard]] const Channel& channel(unsigned number) const { return channels_[number]; }

  void reset();
  void save(StateWriter& to) const { fields(*this, to); }
  void load(StateReader& from) { fields(*this, from); }

 private:
  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s) {
    for (auto& c : self.channels_) s(c.base_address, c.base_count, c.address, c.count, c.mode);
    s(self.command_, self.mask_, self.status_, self.upper_);
  }

  std::array<Channel, kChannels> channels_;
  uint8_t command_ = 0;
  uint8_t mask_ = 0xf;
  uint8_t status_ = 0;  ///< terminal counts reached
  bool upper_ = false;  ///< the flip-flop: the upper byte is next
};

}  // namespace eidolon::device
