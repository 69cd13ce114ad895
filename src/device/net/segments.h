// The frames that an unfinished one stands for (offload.h), one after the other, as they go over a wire: TCP
// segments with headers of their own (RFC 9293), or the one frame with its checksum.
#pragma once

#include <cstdint>
#include <vector>

#include "device/net/offload.h"

namespace eidolon::device::net {

class Segments {
 public:
  /// False, and there are none, if it is nothing that check() lets pass. Copies the frame; forgets what was
  /// before.
  [[nodiscard]] bool begin(Bytes frame, const Offload& offload);
  /// The next one; false: there are no more.
  [[nodiscard]] bool next(std::vector<uint8_t>& frame);
  void clear() { left_ = false; }

 private:
  void next_segment(std::vector<uint8_t>& frame);

  std::vector<uint8_t> bytes_;
  Offload offload_;
  TcpPacket packet_{};
  size_t at_ = 0;       ///< of the payload, where the next segment begins
  uint16_t count_ = 0;  ///< of segments so far
  bool left_ = false;
};

/// What a network that has large frames gives to a card that may not take them.
class Delivery {
 public:
  /// False: the card has no room; it wants the same frame again, of which it may have a part. What is no
  /// frame is lost.
  [[nodiscard]] bool deliver(Card& card, Bytes frame, const Offload& offload);
  /// What comes next is another frame.
  void forget() { under_way_ = false; }

 private:
  Segments segments_;
  std::vector<uint8_t> frame_;  ///< the one that has no room, if under_way_
  bool under_way_ = false;
};

}  // namespace eidolon::device::net
