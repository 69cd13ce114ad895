// Command and transfer rings (xHCI 1.1, 4.9): following them in guest memory.
#pragma once

#include <optional>

#include "device/dma.h"
#include "device/usb/xhci_protocol.h"

namespace eidolon::device::usb::xhci {

/// How far a ring has been consumed.
struct RingPlace {
  GuestPhysical dequeue = 0;
  bool cycle = true;  ///< of the blocks that are the controller's
};

struct Fetched {
  enum class What : uint8_t {
    kTrb,
    kNothing,  ///< the next block is the driver's still
    kBroken,   ///< not in memory, or links only
  } what;
  Trb trb{};
  GuestPhysical address = 0;
};

/// The next block that is no link; `place` is moved behind it. If there is none, `place` is where it was, or
/// behind links.
[[nodiscard]] Fetched fetch(const Dma& dma, RingPlace& place);

}  // namespace eidolon::device::usb::xhci
