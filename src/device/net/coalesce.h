// TCP segments that follow each other, put together into one large frame for a card that takes such ones:
// what a host stack does on receipt (Linux: GRO). Only what Segments would cut into the very same frames is
// put together, so it can be undone.
#pragma once

#include <vector>

#include "device/net/offload.h"

namespace eidolon::device::net {

class Coalescer {
 public:
  /// Whether `frame` goes on where the others end, and is now in there with them.
  [[nodiscard]] bool add(Bytes frame);
  /// Begins with `frame`, when empty(). False: nothing can follow it.
  [[nodiscard]] bool begin(Bytes frame);
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  /// Makes what is there one frame, until clear(), and says what is left to do about it.
  [[nodiscard]] Offload finish();
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  std::vector<uint8_t> bytes_;
  TcpPacket packet_{};
  size_t segment_ = 0;   ///< bytes of payload in the first
  uint16_t count_ = 0;   ///< frames
  bool closed_ = false;  ///< nothing can follow
};

}  // namespace eidolon::device::net
