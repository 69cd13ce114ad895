#include "device/net/ne2000.h"

#include "base/bits.h"

namespace eidolon::device::net {

namespace {
constexpr uint64_t kDataPort = 0x10, kResetPort = 0x18;
constexpr uint16_t kRealtek = 0x10ec, kRtl8029 = 0x8029;
}  // namespace

Ne2000::Ne2000(Link& link, const MacAddress& address, std::function<void(bool)> interrupt)
    : link_(link), address_(address), interrupt_(std::move(interrupt)), chip_(address) {
  link_.plug(this);
}

Ne2000::~Ne2000() { link_.plug(nullptr); }

uint64_t Ne2000::io_read(uint64_t offset, unsigned size) {
  const std::lock_guard lock(mutex_);
  uint64_t value = 0;
  if (offset >= kResetPort) {
    chip_.reset();
  } else if (offset >= kDataPort) {
    value = chip_.read_data(std::min(size, 4u)) & mask_below(8 * size);
  } else {
    for (unsigned i = 0; i < size && offset + i < Dp8390::kRegisters; ++i)
      value |= uint64_t{chip_.read(static_cast<uint32_t>(offset + i))} << (8 * i);
  }
  update();
  return value;
}

void Ne2000::io_write(uint64_t offset, unsigned size, uint64_t value) {
  const std::lock_guard lock(mutex_);
  if (offset >= kDataPort && offset < kResetPort) {
    chip_.write_data(std::min(size, 4u), static_cast<uint32_t>(value));
  } else {
    for (unsigned i = 0; i < size && offset + i < Dp8390::kRegisters; ++i)
      chip_.write(static_cast<uint32_t>(offset + i), static_cast<uint8_t>(value >> (8 * i)));
  }
  if (!up_ && chip_.sending()) chip_.finish_sending(false);
  update();
  // The ring may have room now, or the card ceased to listen.
  if (std::exchange(waiting_, false) || chip_.sending()) link_.wake();
}

void Ne2000::update() {
  if (const bool wanted = chip_.wants_interrupt(); wanted != level_) {
    level_ = wanted;
    interrupt_(wanted);
  }
}

// Life

void Ne2000::reset() {
  const std::lock_guard lock(mutex_);
  chip_ = Dp8390(address_);
  update();
}

void Ne2000::save(StateWriter& to) const {
  const std::lock_guard lock(mutex_);
  chip_.save(to);
}

void Ne2000::load(StateReader& from) {
  const std::lock_guard lock(mutex_);
  chip_.load(from);
  update();
}

void Ne2000::hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void Ne2000::release() {
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
  }
  link_.wake();
}

// Frames

bool Ne2000::next_frame(std::vector<uint8_t>& frame) {
  const std::lock_guard lock(mutex_);
  if (held_ || !chip_.sending()) return false;
  const bool right = chip_.frame_to_send(frame) && up_;
  chip_.finish_sending(up_);
  update();
  return right;
}

bool Ne2000::receive(std::span<const uint8_t> frame) {
  const std::lock_guard lock(mutex_);
  if (held_) return false;
  waiting_ = chip_.receive(frame) == Dp8390::Outcome::kLater;
  update();
  return !waiting_;
}

/// There is no register for it. What is sent into the void is gone, or the driver would wait for it to be.
void Ne2000::set_link(bool up) {
  const std::lock_guard lock(mutex_);
  up_ = up;
  if (up || held_ || !chip_.sending()) return;
  chip_.finish_sending(false);
  update();
}

// On a bus

Ne2000Isa::Ne2000Isa(std::string name, IrqLine& irq, Link& link, const MacAddress& address)
    : name_(std::move(name)), card_(link, address, [&irq](bool level) { irq.set(level); }) {}

void Ne2000Isa::save(StateWriter& to) const {
  to.begin(name_, 1);
  card_.save(to);
  to.end();
}

void Ne2000Isa::load(StateReader& from) {
  from.begin(name_);
  card_.load(from);
  from.end();
  if (from.failed()) card_.reset();
}

bool Ne2000Isa::hold(std::chrono::milliseconds /*patience*/) {
  card_.hold();
  return true;
}

Ne2000Pci::Ne2000Pci(std::string name, Link& link, const MacAddress& address)
    : Function(std::move(name), {.vendor = kRealtek,
                                 .device = kRtl8029,
                                 .class_code = 0x020000,
                                 .subsystem_vendor = kRealtek,
                                 .subsystem = kRtl8029}),
      card_(link, address, [this](bool level) { set_interrupt(level); }) {
  add_bar(0, pci::BarKind::kIo, Ne2000::kPorts, card_);
  add_interrupt_pin();
}

bool Ne2000Pci::hold(std::chrono::milliseconds /*patience*/) {
  card_.hold();
  return true;
}

}  // namespace eidolon::device::net
