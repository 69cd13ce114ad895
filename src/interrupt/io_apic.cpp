#include "interrupt/io_apic.h"

#include "base/bits.h"

namespace eidolon::interrupt {

namespace {
constexpr uint64_t kSelect = 0x00;
constexpr uint64_t kWindow = 0x10;
constexpr uint64_t kEoi = 0x40;

constexpr uint8_t kIdRegister = 0;
constexpr uint8_t kVersionRegister = 1;
constexpr uint8_t kArbitrationRegister = 2;
constexpr uint8_t kFirstEntry = 0x10;

constexpr uint32_t kVersion = 0x20 | (IoApic::kPins - 1) << 16;

// Redirection table entry (82093AA, 3.2.4).
constexpr uint64_t kLogical = 1u << 11;
constexpr uint64_t kRemoteIrr = 1u << 14;
constexpr uint64_t kLevel = 1u << 15;
constexpr uint64_t kMasked = 1u << 16;
constexpr uint64_t kWritable = 0xff000000'0001afff;
}  // namespace

void IoApic::reset() {
  std::lock_guard lock(mutex_);
  id_ = initial_id_;
  select_ = 0;
  entries_.fill(kMasked);
}

void IoApic::set_pin(unsigned pin, bool level) {
  if (pin >= kPins) return;
  std::lock_guard lock(mutex_);
  const uint32_t mask = 1u << pin;
  const bool was = (pins_ & mask) != 0;
  if (was == level) return;
  pins_ ^= mask;
  if (level) deliver(pin);  // an edge on a masked pin is lost; a level waits
}

/// The pin has a rising edge, or is asserted and may have become deliverable.
void IoApic::deliver(unsigned pin) {
  uint64_t& entry = entries_[pin];
  const bool level = (entry & kLevel) != 0;
  if ((entry & kMasked) != 0 || (level && (entry & kRemoteIrr) != 0)) return;
  const ApicMessage sent = message(pin);
  const bool tracked = sent.mode == DeliveryMode::kFixed || sent.mode == DeliveryMode::kLowestPriority;
  // Remote IRR is set first: the EOI of this very message may come from another processor at once,
  // and it waits for our lock.
  if (level && tracked) entry |= kRemoteIrr;
  if (!bus_.deliver(sent)) entry &= ~kRemoteIrr;
}

/// NMI, INIT and ExtINT have no EOI that comes back.
ApicMessage IoApic::message(unsigned pin) const {
  const uint64_t entry = entries_[pin];
  const auto mode = static_cast<DeliveryMode>(bits(entry, 10, 8));
  const bool tracked = mode == DeliveryMode::kFixed || mode == DeliveryMode::kLowestPriority;
  return {.destination = widened_destination(static_cast<uint8_t>(entry >> 56)),
          .logical = (entry & kLogical) != 0,
          .mode = mode,
          .vector = static_cast<uint8_t>(entry),
          .level = tracked && (entry & kLevel) != 0};
}

/// A masked pin too: what it sent before may be in service.
void IoApic::announce(unsigned pin) const {
  const ApicMessage sent = message(pin);
  bus_.route(pin, sent.level ? std::optional(sent) : std::nullopt);
}

void IoApic::announce_routes() {
  std::lock_guard lock(mutex_);
  for (unsigned pin = 0; pin < kPins; ++pin) announce(pin);
}

void IoApic::end_of_interrupt(uint8_t vector) {
  std::lock_guard lock(mutex_);
  finish(vector);
}

void IoApic::finish(uint8_t vector) {
  for (unsigned pin = 0; pin < kPins; ++pin) {
    uint64_t& entry = entries_[pin];
    if ((entry & kRemoteIrr) == 0 || static_cast<uint8_t>(entry) != vector) continue;
    entry &= ~kRemoteIrr;
    if (bit(pins_, pin)) deliver(pin);
  }
}

void IoApic::finish_unless(const std::function<bool(uint8_t vector)>& held) {
  std::lock_guard lock(mutex_);
  for (const uint64_t entry : entries_) {
    const auto vector = static_cast<uint8_t>(entry);
    if ((entry & kRemoteIrr) != 0 && !held(vector)) finish(vector);
  }
}

uint64_t IoApic::io_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  const unsigned shift = static_cast<unsigned>(offset & 3) * 8;
  uint32_t value = 0;
  if ((offset & ~uint64_t{3}) == kSelect) value = select_;
  if ((offset & ~uint64_t{3}) == kWindow) value = read_register();
  return (value >> shift) & mask_below(size * 8);
}

void IoApic::io_write(uint64_t offset, unsigned /*size*/, uint64_t value) {
  std::lock_guard lock(mutex_);
  if (offset == kSelect) select_ = static_cast<uint8_t>(value);
  if (offset == kWindow) write_register(static_cast<uint32_t>(value));
  if (offset == kEoi) finish(static_cast<uint8_t>(value));
}

uint32_t IoApic::read_register() const {
  switch (select_) {
    case kIdRegister:
    case kArbitrationRegister:
      return uint32_t{id_} << 24;
    case kVersionRegister:
      return kVersion;
    default:
      break;
  }
  const unsigned index = select_ - unsigned{kFirstEntry};
  if (select_ < kFirstEntry || index >= 2 * kPins) return 0;
  return static_cast<uint32_t>(entries_[index / 2] >> (index % 2 * 32));
}

void IoApic::write_register(uint32_t value) {
  if (select_ == kIdRegister) id_ = static_cast<uint8_t>(bits(value, 27, 24));
  const unsigned index = select_ - unsigned{kFirstEntry};
  if (select_ >= kFirstEntry && index < 2 * kPins) write_entry(index / 2, index % 2 != 0, value);
}

void IoApic::write_entry(unsigned pin, bool high, uint32_t value) {
  uint64_t& entry = entries_[pin];
  const uint64_t half = high ? mask_below(32) << 32 : mask_below(32);
  const uint64_t writable = kWritable & half;
  const bool was_level = (entry & kLevel) != 0;
  entry = (entry & ~writable) | (uint64_t{value} << (high ? 32 : 0) & writable);
  // An edge-triggered entry has no remote IRR: software switches to edge and back to clear a stuck one.
  if ((entry & kLevel) == 0) entry &= ~kRemoteIrr;
  if (was_level || (entry & kLevel) != 0) announce(pin);
  if ((entry & kLevel) != 0 && bit(pins_, pin)) deliver(pin);
}

void IoApic::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  to(id_, select_, pins_, entries_);
  to.end();
}

void IoApic::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  uint8_t id = 0, select = 0;
  uint32_t pins = 0;
  std::array<uint64_t, kPins> entries{};
  from.begin(name());
  from(id, select, pins, entries);
  from.end();
  if (from.failed()) return;
  id_ = id;
  select_ = select;
  pins_ = pins & static_cast<uint32_t>(mask_below(kPins));
  for (unsigned pin = 0; pin < kPins; ++pin) entries_[pin] = entries[pin] & (kWritable | kRemoteIrr);
}

}  // namespace eidolon::interrupt
