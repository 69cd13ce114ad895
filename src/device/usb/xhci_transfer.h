// One transfer descriptor (xHCI 1.1, 3.2.8 and 4.11): the blocks of a transfer ring that belong together, the
// data behind them, and the events that its end causes.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "device/dma.h"
#include "device/usb/device.h"
#include "device/usb/xhci_ring.h"

namespace eidolon::device::usb::xhci {

class Transfer {
 public:
  enum class Found : uint8_t {
    kWhole,
    kNothing,  ///< the driver has not written all of it yet
    kBroken,   ///< blocks that make no transfer: code() says in which way
  };
  /// Collects the next one. `ring` is moved behind it, if it is whole.
  [[nodiscard]] Found collect(const Dma& dma, RingPlace& ring, bool control);
  [[nodiscard]] Code code() const { return code_; }

  /// Of a control transfer.
  [[nodiscard]] const Setup& setup() const { return setup_; }
  /// Room for data to the driver, or the driver's data; bytes that are not in memory make it fail.
  [[nodiscard]] bool prepare(const Dma& dma, bool in);
  [[nodiscard]] std::span<uint8_t> data() { return data_; }
  /// The first `length` bytes of data() go to memory.
  [[nodiscard]] bool deliver(Dma& dma, uint32_t length) const;

  /// Nothing for the device to do: blocks without data, and no control transfer.
  [[nodiscard]] bool empty() const;

  struct Event {
    Trb trb;
    unsigned interrupter;
    bool quiet;  ///< no interrupt
  };
  /// How many events there can be at most, and whether there can be one of this interrupter.
  [[nodiscard]] size_t most_events() const;
  [[nodiscard]] bool concerns(unsigned interrupter) const;
  /// The events of a transfer of `length` bytes that succeeded.
  [[nodiscard]] std::vector<Event> events(unsigned slot, unsigned endpoint, uint32_t length) const;
  /// That of a transfer that failed or was stopped.
  [[nodiscard]] Event failure(unsigned slot, unsigned endpoint, Code code) const;

 private:
  struct Block {
    Trb trb;
    GuestPhysical address;
    [[nodiscard]] bool has_data() const;
  };
  static constexpr size_t kMostBlocks = 1024;
  static constexpr size_t kMostBytes = size_t{4} << 20;

  [[nodiscard]] Found broken(Code code);
  [[nodiscard]] bool valid(bool control);
  [[nodiscard]] bool valid_control();

  std::vector<Block> blocks_;
  std::vector<uint8_t> data_;
  Setup setup_{};
  Code code_ = Code::kSuccess;
};

}  // namespace eidolon::device::usb::xhci
