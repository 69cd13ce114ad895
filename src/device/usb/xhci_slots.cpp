#include "device/usb/xhci_slots.h"

namespace eidolon::device::usb::xhci {

namespace {

constexpr uint64_t kContextBytes = 32;  // HCCPARAMS1.CSZ is 0
constexpr uint64_t kContextBits = ~uint64_t{0x3f}, kDequeueBits = ~uint64_t{0xf};

// Words of a slot context (6.2.2)
constexpr uint32_t kRouteMask = 0xfffff, kEntriesMask = 0x1fu << 27;
constexpr unsigned kPortShift = 16, kStateShift = 27;
// Words of an endpoint context (6.2.3)
constexpr uint32_t kEndpointStateMask = 7;
constexpr uint32_t kPacketMask = 0xffff0000;

using Words = std::array<uint32_t, 8>;

bool read(const Dma& dma, GuestPhysical at, Words& words) {
  return dma.read(at, words.data(), kContextBytes);
}
bool write(Dma& dma, GuestPhysical at, const Words& words) {
  return dma.write(at, words.data(), kContextBytes);
}
/// Index 0 is the slot's context. An input context has one more before them.
GuestPhysical at_index(GuestPhysical contexts, unsigned index) { return contexts + index * kContextBytes; }
GuestPhysical in_input(GuestPhysical input, unsigned index) { return at_index(input, index + 1); }

EndpointType type_of(const Words& words) { return static_cast<EndpointType>(words[1] >> 3 & 7); }

/// Whether an endpoint of that index can have that type: odd indices give data, even ones take it.
bool fits(EndpointType type, unsigned index) {
  switch (type) {
    case EndpointType::kBulkIn:
    case EndpointType::kInterruptIn:
      return index % 2 != 0;
    case EndpointType::kBulkOut:
    case EndpointType::kInterruptOut:
      return index % 2 == 0;
    default:
      return false;  // no isochronous ones, and the control endpoint is number 1
  }
}

}  // namespace

Slot* Slots::slot(unsigned id) {
  return id >= 1 && id <= kSlots && slots_[id].enabled ? &slots_[id] : nullptr;
}

Endpoint* Slots::endpoint(unsigned id, unsigned index) {
  Slot* found = slot(id);
  return found != nullptr && index >= 1 && index < kEndpoints ? &found->endpoints[index] : nullptr;
}

unsigned Slots::at_port(unsigned port) const {
  for (unsigned id = 1; id <= kSlots; ++id)
    if (slots_[id].enabled && slots_[id].port == port) return id;
  return 0;
}

Code Slots::enable(unsigned limit, unsigned& id) {
  for (id = 1; id <= kSlots && id <= limit; ++id) {
    if (slots_[id].enabled) continue;
    slots_[id] = Slot{.enabled = true};
    return Code::kSuccess;
  }
  id = 0;
  return Code::kNoSlots;
}

Code Slots::disable(Dma& dma, unsigned id) {
  Slot* found = slot(id);
  if (found == nullptr) return Code::kSlotNotEnabled;
  found->state = SlotState::kDisabled;
  write_slot_state(dma, *found, 0);
  *found = Slot();
  return Code::kSuccess;
}

Code Slots::address(Dma& dma, unsigned id, GuestPhysical contexts, GuestPhysical input, bool keep_default) {
  Slot* found = slot(id);
  if (found == nullptr) return Code::kSlotNotEnabled;
  const bool was_default = found->state == SlotState::kDefault;
  if (found->state != SlotState::kDisabled && !(was_default && !keep_default))
    return Code::kContextStateError;
  Words control, slot_words, endpoint_words;
  uint64_t context = 0;
  if (!dma.read(contexts + id * sizeof context, &context, sizeof context) || !read(dma, input, control) ||
      !read(dma, in_input(input, 0), slot_words) || !read(dma, in_input(input, 1), endpoint_words))
    return Code::kParameterError;
  if ((control[1] & 3) != 3 || type_of(endpoint_words) != EndpointType::kControl)
    return Code::kParameterError;
  const unsigned port = slot_words[1] >> kPortShift & 0xff;
  const unsigned other = at_port(port);
  if (other != 0 && other != id) return Code::kParameterError;
  // There are no hubs, so nothing answers behind a route.
  if ((slot_words[0] & kRouteMask) != 0 || ports_.device(port) == nullptr) return Code::kTransactionError;

  found->context = context & kContextBits;
  found->port = static_cast<uint8_t>(port);
  found->state = keep_default ? SlotState::kDefault : SlotState::kAddressed;
  open(*found, 1, endpoint_words);
  slot_words[3] = 0;
  endpoint_words[0] &= ~kEndpointStateMask;
  if (!write(dma, at_index(found->context, 0), slot_words) ||
      !write(dma, at_index(found->context, 1), endpoint_words)) {
    *found = Slot{.enabled = true};
    return Code::kParameterError;
  }
  write_slot_state(dma, *found, keep_default ? 0 : id);
  write_endpoint(dma, *found, 1);
  return Code::kSuccess;
}

Code Slots::configure(Dma& dma, unsigned id, GuestPhysical input, bool deconfigure) {
  Slot* found = slot(id);
  if (found == nullptr) return Code::kSlotNotEnabled;
  if (found->state != SlotState::kAddressed && found->state != SlotState::kConfigured)
    return Code::kContextStateError;
  if (deconfigure) {
    disable_endpoints(dma, *found, 2);
    found->state = SlotState::kAddressed;
    write_slot_state(dma, *found, id);
    return Code::kSuccess;
  }
  Words control, slot_words, current;
  if (!read(dma, input, control) || !read(dma, in_input(input, 0), slot_words) ||
      !read(dma, at_index(found->context, 0), current))
    return Code::kParameterError;
  const Code code = configure_endpoints(dma, *found, input, control[0] & ~3u, control[1] & ~3u);
  if (code != Code::kSuccess) return code;
  current[0] = (current[0] & ~kEntriesMask) | (slot_words[0] & kEntriesMask);
  if (!write(dma, at_index(found->context, 0), current)) return Code::kParameterError;
  found->state = SlotState::kConfigured;
  write_slot_state(dma, *found, id);
  return Code::kSuccess;
}

/// All or nothing: the new ones are looked at first.
Code Slots::configure_endpoints(Dma& dma, Slot& slot, GuestPhysical input, uint32_t drop, uint32_t add) {
  std::array<Words, kEndpoints> added{};
  for (unsigned index = 2; index < kEndpoints; ++index) {
    if ((add >> index & 1) == 0) continue;
    if (!read(dma, in_input(input, index), added[index])) return Code::kParameterError;
    if (!fits(type_of(added[index]), index)) return Code::kParameterError;
    const bool there = slot.endpoints[index].state != EndpointState::kDisabled;
    if (there && (drop >> index & 1) == 0) return Code::kParameterError;
  }
  for (unsigned index = 2; index < kEndpoints; ++index) {
    if ((drop >> index & 1) != 0) {
      slot.endpoints[index] = Endpoint();
      write_endpoint(dma, slot, index);
    }
    if ((add >> index & 1) != 0) {
      open(slot, index, added[index]);
      if (!write(dma, at_index(slot.context, index), added[index])) return Code::kParameterError;
      write_endpoint(dma, slot, index);
    }
  }
  return Code::kSuccess;
}

void Slots::open(Slot& slot, unsigned index, const Words& words) {
  const uint64_t pointer = words[2] | uint64_t{words[3]} << 32;
  slot.endpoints[index] = {.state = EndpointState::kRunning,
                           .type = type_of(words),
                           .ring = {.dequeue = pointer & kDequeueBits, .cycle = (pointer & 1) != 0}};
}

/// What can be evaluated is the size of packets on endpoint 0, and of the slot what is only written down.
Code Slots::evaluate(Dma& dma, unsigned id, GuestPhysical input) {
  Slot* found = slot(id);
  if (found == nullptr) return Code::kSlotNotEnabled;
  if (found->state == SlotState::kDisabled) return Code::kContextStateError;
  Words control, given, current;
  if (!read(dma, input, control)) return Code::kParameterError;
  const auto merge = [&](unsigned index, unsigned word, uint32_t mask) {
    if ((control[1] >> index & 1) == 0) return true;
    if (!read(dma, in_input(input, index), given) || !read(dma, at_index(found->context, index), current))
      return false;
    current[word] = (current[word] & ~mask) | (given[word] & mask);
    return write(dma, at_index(found->context, index), current);
  };
  constexpr uint32_t kLatencyMask = 0xffff, kInterrupterMask = 0x3ffu << 22;
  const bool done = merge(0, 1, kLatencyMask) && merge(0, 2, kInterrupterMask) && merge(1, 1, kPacketMask);
  return done ? Code::kSuccess : Code::kParameterError;
}

Code Slots::reset_device(Dma& dma, unsigned id) {
  Slot* found = slot(id);
  if (found == nullptr) return Code::kSlotNotEnabled;
  if (found->state != SlotState::kAddressed && found->state != SlotState::kConfigured)
    return Code::kContextStateError;
  disable_endpoints(dma, *found, 2);
  found->state = SlotState::kDefault;
  write_slot_state(dma, *found, 0);
  return Code::kSuccess;
}

Code Slots::reset_endpoint(Dma& dma, unsigned id, unsigned index) {
  const Endpoint* found = endpoint(id, index);
  if (found == nullptr) return slot(id) == nullptr ? Code::kSlotNotEnabled : Code::kParameterError;
  if (found->state != EndpointState::kHalted) return Code::kContextStateError;
  set_state(dma, id, index, EndpointState::kStopped);
  return Code::kSuccess;
}

Code Slots::stop_endpoint(Dma& dma, unsigned id, unsigned index) {
  const Endpoint* found = endpoint(id, index);
  if (found == nullptr) return slot(id) == nullptr ? Code::kSlotNotEnabled : Code::kParameterError;
  if (found->state != EndpointState::kRunning) return Code::kContextStateError;
  set_state(dma, id, index, EndpointState::kStopped);
  return Code::kSuccess;
}

Code Slots::set_dequeue(Dma& dma, unsigned id, unsigned index, uint64_t pointer) {
  Endpoint* found = endpoint(id, index);
  if (found == nullptr) return slot(id) == nullptr ? Code::kSlotNotEnabled : Code::kParameterError;
  if (found->state != EndpointState::kStopped && found->state != EndpointState::kError)
    return Code::kContextStateError;
  found->ring = {.dequeue = pointer & kDequeueBits, .cycle = (pointer & 1) != 0};
  set_state(dma, id, index, EndpointState::kStopped);
  return Code::kSuccess;
}

void Slots::ring(Dma& dma, unsigned id, unsigned index) {
  Endpoint* found = endpoint(id, index);
  if (found == nullptr) return;
  if (found->state == EndpointState::kStopped) set_state(dma, id, index, EndpointState::kRunning);
  if (found->state == EndpointState::kRunning) found->rung = true;
}

void Slots::set_state(Dma& dma, unsigned id, unsigned index, EndpointState state) {
  Endpoint& endpoint = slots_[id].endpoints[index];
  endpoint.state = state;
  endpoint.rung = endpoint.waiting = false;
  write_endpoint(dma, slots_[id], index);
}

void Slots::disable_endpoints(Dma& dma, Slot& slot, unsigned first) {
  for (unsigned index = first; index < kEndpoints; ++index) {
    if (slot.endpoints[index].state == EndpointState::kDisabled) continue;
    slot.endpoints[index] = Endpoint();
    write_endpoint(dma, slot, index);
  }
}

/// A context that is not in memory any more is the driver's loss: what counts is here.
void Slots::write_endpoint(Dma& dma, const Slot& slot, unsigned index) {
  const Endpoint& endpoint = slot.endpoints[index];
  Words words;
  if (!read(dma, at_index(slot.context, index), words)) return;
  words[0] = (words[0] & ~kEndpointStateMask) | static_cast<uint32_t>(endpoint.state);
  words[2] = static_cast<uint32_t>(endpoint.ring.dequeue) | (endpoint.ring.cycle ? 1 : 0);
  words[3] = static_cast<uint32_t>(endpoint.ring.dequeue >> 32);
  (void)write(dma, at_index(slot.context, index), words);
}

void Slots::write_slot_state(Dma& dma, const Slot& slot, unsigned address) {
  const uint32_t word = static_cast<uint32_t>(slot.state) << kStateShift | address;
  if (slot.context != 0) (void)dma.write(slot.context + 12, &word, sizeof word);
}

void Slots::save(StateWriter& to) const {
  for (const Slot& slot : slots_) {
    to(slot.enabled, slot.state, slot.port, slot.context);
    for (const Endpoint& endpoint : slot.endpoints)
      to(endpoint.state, endpoint.type, endpoint.ring.dequeue, endpoint.ring.cycle);
  }
}

void Slots::load(StateReader& from) {
  for (Slot& slot : slots_) {
    from(slot.enabled, slot.state, slot.port, slot.context);
    slot.context &= kContextBits;
    if (slot.state > SlotState::kConfigured || slot.port > kPorts) from.fail();
    for (Endpoint& endpoint : slot.endpoints) {
      from(endpoint.state, endpoint.type, endpoint.ring.dequeue, endpoint.ring.cycle);
      endpoint.ring.dequeue &= kDequeueBits;
      if (endpoint.state > EndpointState::kError || endpoint.type > EndpointType::kInterruptIn) from.fail();
      endpoint.rung = endpoint.state == EndpointState::kRunning;
      endpoint.waiting = false;
    }
  }
  if (from.failed()) reset();
}

}  // namespace eidolon::device::usb::xhci
