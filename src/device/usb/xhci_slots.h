// Device slots and their endpoints (xHCI 1.1, 4.5 to 4.8 and 6.2): what the driver's commands make of the
// contexts in memory. What matters of a context is kept here; the driver's copy in memory is only written
// afterwards. No lock: the controller has one.
#pragma once

#include <array>

#include "base/state_stream.h"
#include "device/dma.h"
#include "device/usb/xhci_ports.h"
#include "device/usb/xhci_protocol.h"
#include "device/usb/xhci_ring.h"

namespace eidolon::device::usb::xhci {

struct Endpoint {
  EndpointState state = EndpointState::kDisabled;
  EndpointType type = EndpointType::kNone;
  RingPlace ring;
  bool rung = false;     ///< there may be transfers to carry out
  bool waiting = false;  ///< the device has nothing to give for the next one
};

struct Slot {
  bool enabled = false;
  SlotState state = SlotState::kDisabled;
  uint8_t port = 0;
  GuestPhysical context = 0;  ///< the device context
  std::array<Endpoint, kEndpoints> endpoints{};
};

class Slots {
 public:
  explicit Slots(const Ports& ports) : ports_(ports) {}

  void reset() { slots_ = {}; }
  /// An enabled slot, from number 1 on, or null.
  [[nodiscard]] Slot* slot(unsigned id);
  /// Its endpoint by context index, from 1 on, or null if there is no such slot or endpoint.
  [[nodiscard]] Endpoint* endpoint(unsigned id, unsigned index);
  /// The slot of the device at a port, or 0.
  [[nodiscard]] unsigned at_port(unsigned port) const;

  // The commands (4.6).
  /// The new slot's number in `id`. `limit`: how many the driver allows.
  [[nodiscard]] Code enable(unsigned limit, unsigned& id);
  [[nodiscard]] Code disable(Dma& dma, unsigned id);
  /// `contexts` is the array of device contexts, `input` the input context. `keep_default`: without
  /// SET_ADDRESS.
  [[nodiscard]] Code address(Dma& dma, unsigned id, GuestPhysical contexts, GuestPhysical input,
                             bool keep_default);
  [[nodiscard]] Code configure(Dma& dma, unsigned id, GuestPhysical input, bool deconfigure);
  [[nodiscard]] Code evaluate(Dma& dma, unsigned id, GuestPhysical input);
  [[nodiscard]] Code reset_device(Dma& dma, unsigned id);
  [[nodiscard]] Code reset_endpoint(Dma& dma, unsigned id, unsigned index);
  [[nodiscard]] Code stop_endpoint(Dma& dma, unsigned id, unsigned index);
  [[nodiscard]] Code set_dequeue(Dma& dma, unsigned id, unsigned index, uint64_t pointer);

  /// A doorbell: the endpoint runs, if it can.
  void ring(Dma& dma, unsigned id, unsigned index);
  void set_state(Dma& dma, unsigned id, unsigned index, EndpointState state);

  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  using Words = std::array<uint32_t, 8>;  ///< a context

  [[nodiscard]] Code configure_endpoints(Dma& dma, Slot& slot, GuestPhysical input, uint32_t drop,
                                         uint32_t add);
  void open(Slot& slot, unsigned index, const Words& words);
  void disable_endpoints(Dma& dma, Slot& slot, unsigned first);
  void write_endpoint(Dma& dma, const Slot& slot, unsigned index);
  void write_slot_state(Dma& dma, const Slot& slot, unsigned address);

  const Ports& ports_;
  std::array<Slot, kSlots + 1> slots_{};  ///< number 0 is none
};

}  // namespace eidolon::device::usb::xhci
