#include "device/usb/xhci_ring.h"

namespace eidolon::device::usb::xhci {

Fetched fetch(const Dma& dma, RingPlace& place) {
  // A proper ring has a link in each segment, and not one behind the other.
  constexpr unsigned kMostLinks = 16;
  using What = Fetched::What;
  Fetched fetched{.what = What::kBroken};
  for (unsigned links = 0; links <= kMostLinks; ++links) {
    fetched.address = place.dequeue;
    // The driver writes the word with the cycle bit last; it is looked at first.
    const std::span<const uint8_t> bytes = dma.readable(place.dequeue, sizeof(Trb));
    if (bytes.size() != sizeof(Trb)) return fetched;
    // SAFETY: four bytes of guest RAM that Dma has checked, aligned because a dequeue pointer is.
    const uint32_t control =
        __atomic_load_n(reinterpret_cast<const uint32_t*>(bytes.data() + 12), __ATOMIC_ACQUIRE);
    if (((control & kCycle) != 0) != place.cycle) {
      fetched.what = What::kNothing;
      return fetched;
    }
    std::memcpy(&fetched.trb.parameter, bytes.data(), 8);
    std::memcpy(&fetched.trb.status, bytes.data() + 8, 4);
    fetched.trb.control = control;
    if (fetched.trb.type() != kLink) {
      place.dequeue += sizeof(Trb);
      fetched.what = What::kTrb;
      return fetched;
    }
    place.dequeue = fetched.trb.parameter & ~uint64_t{15};
    if ((control & kToggleCycle) != 0) place.cycle = !place.cycle;
  }
  return fetched;
}

}  // namespace eidolon::device::usb::xhci
