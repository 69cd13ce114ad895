#include "device/chipset/dma_controller.h"

namespace eidolon::device {

namespace {
/// Where the page register of a channel is, from port 0x80 on.
constexpr std::array<uint8_t, 4> kPageOf = {0x7, 0x3, 0x1, 0x2};
}  // namespace

uint8_t DmaController::read_first(unsigned offset) {
  std::lock_guard lock(mutex_);
  return chips_[0].read(offset);
}
void DmaController::write_first(unsigned offset, uint8_t value) {
  {
    std::lock_guard lock(mutex_);
    chips_[0].write(offset, value);
  }
  notify();
}

/// The second controller moves words: its registers are two ports apart.
uint8_t DmaController::read_second(unsigned offset) {
  std::lock_guard lock(mutex_);
  return chips_[1].read(offset / 2);
}
void DmaController::write_second(unsigned offset, uint8_t value) {
  std::lock_guard lock(mutex_);
  chips_[1].write(offset / 2, value);
}

uint8_t DmaController::read_page(unsigned offset) {
  std::lock_guard lock(mutex_);
  return pages_[offset];
}
void DmaController::write_page(unsigned offset, uint8_t value) {
  std::lock_guard lock(mutex_);
  pages_[offset] = value;
}

void DmaController::notify() {
  if (observer_) observer_();
}

bool DmaController::open(unsigned channel) const {
  std::lock_guard lock(mutex_);
  return chips_[0].open(channel);
}

GuestPhysical DmaController::address_of(unsigned channel) const {
  return uint64_t{pages_[kPageOf[channel]]} << 16 | chips_[0].channel(channel).address;
}

template <typename Byte, typename Move>
DmaController::Moved DmaController::move(unsigned channel, unsigned type, std::span<Byte> bytes,
                                         Move move_byte) {
  std::lock_guard lock(mutex_);
  DmaChip& chip = chips_[0];
  Moved moved;
  const unsigned asked = chip.channel(channel).type();
  if (!chip.open(channel) || (asked != 0 && asked != type)) return moved;
  while (moved.bytes < bytes.size() && !moved.terminal) {
    if (asked != 0) move_byte(address_of(channel), bytes[moved.bytes]);
    ++moved.bytes;
    moved.terminal = chip.advance(channel);
  }
  return moved;
}

DmaController::Moved DmaController::to_memory(unsigned channel, std::span<const uint8_t> bytes) {
  return move(channel, DmaChip::Channel::kToMemory, bytes,
              [this](GuestPhysical at, uint8_t byte) { (void)dma_.write(at, &byte, 1); });
}

DmaController::Moved DmaController::from_memory(unsigned channel, std::span<uint8_t> bytes) {
  return move(channel, DmaChip::Channel::kFromMemory, bytes, [this](GuestPhysical at, uint8_t& byte) {
    if (!dma_.read(at, &byte, 1)) byte = 0xff;
  });
}

void DmaController::reset() {
  std::lock_guard lock(mutex_);
  for (DmaChip& chip : chips_) chip.reset();
  pages_ = {};
}

void DmaController::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  for (const DmaChip& chip : chips_) chip.save(to);
  to(pages_);
  to.end();
}

void DmaController::load(StateReader& from) {
  from.begin(name());
  {
    std::lock_guard lock(mutex_);
    for (DmaChip& chip : chips_) chip.load(from);
    from(pages_);
  }
  from.end();
  if (from.failed()) reset();
}

}  // namespace eidolon::device
