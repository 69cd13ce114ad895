// What a card of the 8254x family receives (317453, 3.2): filters, VLAN tags, checksums, and the ring of
// buffers.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "device/net/e1000_counters.h"
#include "device/net/e1000_filter.h"
#include "device/net/e1000_interrupts.h"
#include "device/net/e1000_registers.h"
#include "device/net/e1000_ring.h"

namespace eidolon::device::net::e1000 {

class Receiver {
 public:
  Receiver(const Bank& bank, const Filter& filter, Counters& counters, Interrupts& interrupts)
      : bank_(bank), filter_(filter), counters_(counters), interrupts_(interrupts) {}

  /// False: there are not enough buffers now, and nothing was done.
  [[nodiscard]] bool receive(std::span<const uint8_t> frame, Dma& dma, Ring& ring);
  /// Whether a frame was refused, and waits for room.
  [[nodiscard]] bool take_waiting() { return std::exchange(waiting_, false); }

 private:
  /// What the last descriptor of a frame says of it.
  struct Verdict {
    uint8_t status = 0;
    uint8_t errors = 0;
    uint16_t sum = 0;
    uint16_t tag = 0;
  };
  [[nodiscard]] size_t buffer_bytes() const;
  [[nodiscard]] Verdict prepare(std::span<const uint8_t> frame, bool tagged);
  void check_sums(std::span<const uint8_t> frame, Verdict& verdict) const;
  [[nodiscard]] bool fill(Dma& dma, Ring& ring, Verdict verdict);
  void tell(const Ring& ring);

  const Bank& bank_;
  const Filter& filter_;
  Counters& counters_;
  Interrupts& interrupts_;
  std::vector<uint8_t> bytes_;  ///< as they go to memory
  bool waiting_ = false;        ///< a frame was refused
};

}  // namespace eidolon::device::net::e1000
