#include "device/pci/address_map.h"

#include <algorithm>
#include <mutex>

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
}

void AddressMap::remove(const void* key) {
  std::lock_guard lock(mutex_);
  std::erase_if(windows_, [key](const Window& window) { return window.key == key; });
}

std::optional<AddressMap::Window> AddressMap::find(uint64_t address) const {
  std::shared_lock lock(mutex_);
  for (const Window& window : windows_)  // a few dozen at most
    if (address - window.base < window.length) return window;
  return std::nullopt;
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
