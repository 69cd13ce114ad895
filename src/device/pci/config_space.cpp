#include "device/pci/config_space.h"

#include "base/assert.h"
#include "base/bits.h"
#include "device/pci/registers.h"

namespace eidolon::device::pci {

unsigned ConfigSpace::add_capability(uint8_t id, unsigned length) {
  const unsigned at = next_capability_;
  EIDOLON_ASSERT(at + length <= 0x100);
  define<uint8_t>(at, id);
  define<uint8_t>(at + 1, get<uint8_t>(kCapabilities));
  define<uint8_t>(kCapabilities, static_cast<uint8_t>(at));
  define<uint16_t>(kStatus, get<uint16_t>(kStatus) | kStatusCapabilities, 0, kStatusErrors);
  next_capability_ = static_cast<unsigned>(align_up(at + length, 4));
  return at;
}

uint32_t ConfigSpace::read(unsigned offset, unsigned size) const {
  uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    const uint32_t byte = offset + i < kSize ? bytes_[offset + i] : 0xff;
    value |= byte << (8 * i);
  }
  return value;
}

void ConfigSpace::write(unsigned offset, unsigned size, uint32_t value) {
  for (unsigned i = 0; i < size && offset + i < kSize; ++i) {
    const auto byte = static_cast<uint8_t>(value >> (8 * i));
    const unsigned at = offset + i;
    const unsigned kept = bytes_[at] & ~unsigned{writable_[at]} & ~(byte & unsigned{clearable_[at]});
    bytes_[at] = static_cast<uint8_t>(kept | (byte & writable_[at]));
  }
}

void ConfigSpace::load(StateReader& from) {
  Bytes loaded{};
  from(loaded);
  if (from.failed()) return;
  for (unsigned i = 0; i < kSize; ++i) {
    const unsigned changeable = unsigned{writable_[i]} | clearable_[i];
    bytes_[i] = static_cast<uint8_t>((initial_[i] & ~changeable) | (loaded[i] & changeable));
  }
}

}  // namespace eidolon::device::pci
