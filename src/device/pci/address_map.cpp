#include "device/pci/address_map.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/bits.h"

namespace eidolon::device::pci {

void AddressMap::place(const void* key, uint64_t base, uint64_t length, memory::IoHandler& handler) {
  const Window window{key, base, length, &handler};
  std::lock_guard lock(mutex_);
  const auto at = std::ranges::find(windows_, key, &Window::key);
  if (at == windows_.end()) {
    windows_.push_back(window);
  } else {
    *at = window;
  }
  move_doorbells();
}

void AddressMap::remove(const void* key) {
  std::lock_guard lock(mutex_);
  std::erase_if(windows_, [key](const Window& window) { return window.key == key; });
  move_doorbells();
}

void AddressMap::add_doorbell(const void* key, uint64_t offset, int event) {
  std::lock_guard lock(mutex_);
  doorbells_.push_back({.key = key, .offset = offset, .event = event, .taken_at = {}});
  move_doorbells();
}

void AddressMap::give_doorbells(memory::Doorbells* taker) {
  std::lock_guard lock(mutex_);
  for (Doorbell& doorbell : doorbells_)
    if (const auto address = std::exchange(doorbell.taken_at, std::nullopt))
      taker_->disconnect({*address, std::nullopt, doorbell.event});
  taker_ = taker;
  move_doorbells();
}

/// Where a write is the doorbell's; nothing: its window does not answer there.
std::optional<uint64_t> AddressMap::place_of(const Doorbell& doorbell) const {
  const auto window = std::ranges::find(windows_, doorbell.key, &Window::key);
  if (window == windows_.end()) return std::nullopt;
  const uint64_t address = window->base + doorbell.offset;
  return window_at(address)->key == doorbell.key ? std::optional(address) : std::nullopt;
}

/// All go before any comes: of two windows that change places, the second would find the first one's there.
void AddressMap::move_doorbells() {
  if (taker_ == nullptr) return;
  for (Doorbell& doorbell : doorbells_) {
    if (!doorbell.taken_at || doorbell.taken_at == place_of(doorbell)) continue;
    taker_->disconnect({*doorbell.taken_at, std::nullopt, doorbell.event});
    doorbell.taken_at.reset();
  }
  for (Doorbell& doorbell : doorbells_) {
    if (doorbell.taken_at) continue;
    const std::optional<uint64_t> place = place_of(doorbell);
    if (place && taker_->connect({*place, std::nullopt, doorbell.event})) doorbell.taken_at = place;
  }
}

const AddressMap::Window* AddressMap::window_at(uint64_t address) const {
  for (const Window& window : windows_)  // a few dozen at most
    if (address - window.base < window.length) return &window;
  return nullptr;
}

std::optional<AddressMap::Window> AddressMap::find(uint64_t address) const {
  std::shared_lock lock(mutex_);
  const Window* window = window_at(address);
  return window != nullptr ? std::optional(*window) : std::nullopt;
}

uint64_t AddressMap::io_read(uint64_t address, unsigned size) {
  const std::optional<Window> window = find(address);
  if (window && size <= window->length - (address - window->base))
    return window->handler->io_read(address - window->base, size) & mask_below(size * 8);
  if (size == 1 || !window) return mask_below(size * 8);
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= io_read(address + i, 1) << (8 * i);
  return value;
}

void AddressMap::io_write(uint64_t address, unsigned size, uint64_t value) {
  const std::optional<Window> window = find(address);
  if (!window) return;
  if (size <= window->length - (address - window->base)) {
    window->handler->io_write(address - window->base, size, value);
    return;
  }
  for (unsigned i = 0; i < size; ++i) io_write(address + i, 1, value >> (8 * i) & 0xff);
}

}  // namespace eidolon::device::pci
