// An interrupter and its event ring (xHCI 1.1, 4.9.4 and 4.17): where the controller tells the driver what
// happened. No lock: the controller has one.
#pragma once

#include "base/state_stream.h"
#include "device/dma.h"
#include "device/usb/xhci_protocol.h"

namespace eidolon::device::usb::xhci {

class Interrupter {
 public:
  enum class Posted : uint8_t {
    kQuiet,    ///< the driver knows already that there are events, or need not know now
    kPending,  ///< the pending bit was set: asserted() says whether the driver wants an interrupt
    kFailed,   ///< the ring is not in memory
  };

  void reset() { *this = Interrupter(); }
  [[nodiscard]] uint32_t read(uint64_t offset) const;
  /// True if the pending bit was set (again), or a set one was enabled.
  [[nodiscard]] bool write(const Dma& dma, uint64_t offset, uint32_t value);

  /// How many events have room. None before the driver has set the ring up.
  [[nodiscard]] uint32_t room(const Dma& dma) const;
  /// There is room.
  [[nodiscard]] Posted post(Dma& dma, Trb event, bool quiet);

  /// IMAN's pending bit together with its enable bit: the level of the wire.
  [[nodiscard]] bool asserted() const { return (management_ & 3) == 3; }
  /// A message was sent, which clears the pending bit (4.17.5).
  void message_sent() { management_ &= ~kPending; }

  void save(StateWriter& to) const { fields(*this, to); }
  void load(StateReader& from);

 private:
  static constexpr uint32_t kPending = 1, kEnable = 2;
  static constexpr uint32_t kMostSegments = 16;

  struct Segment {
    GuestPhysical base;
    uint32_t entries;
  };
  [[nodiscard]] bool segment(const Dma& dma, uint32_t index, Segment& segment) const;
  void start(const Dma& dma);
  void set_pending();

  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s) {
    s(self.management_, self.moderation_, self.segments_, self.table_, self.dequeue_, self.started_,
      self.busy_, self.cycle_, self.index_, self.base_, self.entries_, self.entry_);
  }

  uint32_t management_ = 0;  ///< IMAN
  uint32_t moderation_ = 4000;
  uint32_t segments_ = 0;  ///< ERSTSZ
  uint64_t table_ = 0;     ///< ERSTBA
  uint64_t dequeue_ = 0;   ///< ERDP, the pointer alone
  bool busy_ = false;      ///< ERDP's event handler busy bit

  // Where the next event goes.
  bool started_ = false;
  bool cycle_ = true;
  uint32_t index_ = 0;  ///< of the segment
  uint64_t base_ = 0;
  uint32_t entries_ = 0;
  uint32_t entry_ = 0;
};

}  // namespace eidolon::device::usb::xhci
