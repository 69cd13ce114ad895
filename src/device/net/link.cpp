#include "device/net/link.h"

#include "device/net/offload.h"

namespace eidolon::device::net {

bool Card::next_large(std::vector<uint8_t>& frame, Offload& offload) {
  offload = {};
  return next_frame(frame);
}

bool Card::receive_large(std::span<const uint8_t> frame, const Offload& /*offload*/) {
  return receive(frame);
}

}  // namespace eidolon::device::net
