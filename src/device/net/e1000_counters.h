// The statistics of a card of the 8254x family (317453, 13.7): they are cleared by being read, and stay at
// their largest value.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/state_stream.h"

namespace eidolon::device::net::e1000 {

class Counters {
 public:
  void reset() { values_ = {}; }
  /// `index`: of the register, from 0x4000 on.
  [[nodiscard]] uint32_t read(unsigned index);

  void received(std::span<const uint8_t> frame);      ///< which no filter has held back
  void held_back(std::span<const uint8_t> frame);     ///< by a filter
  void found_no_buffer() { add(kReceiveNoBuffers); }  ///< and waits
  void missed() { add(kMissed); }                     ///< lost, for there was nowhere to put it
  void sent(std::span<const uint8_t> frame);
  void segmented() { add(kSegmentations); }

  void save(StateWriter& to) const { to(values_); }
  void load(StateReader& from) { from(values_); }

 private:
  // Registers, less 0x4000, by 4. The upper half of those with 64 bits comes behind the lower.
  enum Index : unsigned {
    kMissed = 0x10 / 4,
    kReceivedBySize = 0x5c / 4,
    kGoodReceived = 0x74 / 4,
    kBroadcastsReceived = 0x78 / 4,
    kMulticastsReceived = 0x7c / 4,
    kGoodSent = 0x80 / 4,
    kGoodBytesReceived = 0x88 / 4,
    kGoodBytesSent = 0x90 / 4,
    kReceiveNoBuffers = 0xa0 / 4,
    kBytesReceived = 0xc0 / 4,
    kBytesSent = 0xc8 / 4,
    kAllReceived = 0xd0 / 4,
    kAllSent = 0xd4 / 4,
    kSentBySize = 0xd8 / 4,
    kMulticastsSent = 0xf0 / 4,
    kBroadcastsSent = 0xf4 / 4,
    kSegmentations = 0xf8 / 4,
    kEnd = 0x100 / 4,
  };
  void add(unsigned index);
  void add_wide(unsigned index, uint64_t bytes);

  std::array<uint32_t, kEnd> values_{};
};

}  // namespace eidolon::device::net::e1000
