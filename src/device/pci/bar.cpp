#include "device/pci/bar.h"

#include <bit>

#include "base/assert.h"
#include "device/pci/registers.h"

namespace eidolon::device::pci {

namespace {
constexpr uint32_t kIoSpace = 1, kMemory64Type = 4, kPrefetchable = 8, kRomEnable = 1;
}

Bar::Bar(ConfigSpace& config, unsigned index, BarKind kind, uint64_t size, memory::IoHandler& handler,
         const memory::Region* window)
    : kind_(kind),
      size_(size),
      offset_(kind == BarKind::kRom ? kRomBar : kFirstBar + 4 * index),
      handler_(handler),
      window_(window) {
  EIDOLON_ASSERT(window == nullptr || window->length == size);
  EIDOLON_ASSERT(std::has_single_bit(size) && index < (is_64bit() ? 5u : 6u));
  const uint64_t mask = ~(size - 1);
  const auto low = static_cast<uint32_t>(mask);
  switch (kind) {
    case BarKind::kIo:
      config.define<uint32_t>(offset_, kIoSpace, low & ~3u);
      break;
    case BarKind::kMemory32:
      config.define<uint32_t>(offset_, 0, low & ~15u);
      break;
    case BarKind::kRom:
      config.define<uint32_t>(offset_, 0, (low & ~0x7ffu) | kRomEnable);
      break;
    case BarKind::kMemory64:
    case BarKind::kPrefetchable64:
      config.define<uint32_t>(offset_, kMemory64Type | (kind == BarKind::kPrefetchable64 ? kPrefetchable : 0),
                              low & ~15u);
      config.define<uint32_t>(offset_ + 4, 0, static_cast<uint32_t>(mask >> 32));
      break;
  }
}

uint64_t Bar::address(const ConfigSpace& config) const {
  uint64_t value = config.get<uint32_t>(offset_);
  if (is_64bit()) value |= uint64_t{config.get<uint32_t>(offset_ + 4)} << 32;
  return value & ~(size_ - 1) & (is_io() ? ~uint64_t{3} : ~uint64_t{15});
}

bool Bar::decoded(const ConfigSpace& config) const {
  const uint16_t command = config.get<uint16_t>(kCommand);
  if ((command & (is_io() ? kCommandIo : kCommandMemory)) == 0) return false;
  return kind_ != BarKind::kRom || (config.get<uint32_t>(offset_) & kRomEnable) != 0;
}

}  // namespace eidolon::device::pci
