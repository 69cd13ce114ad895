#include "device/pci/config_access.h"

#include "base/bits.h"

namespace eidolon::device::pci {

namespace {
constexpr uint32_t kEnable = 1u << 31;
constexpr uint32_t kAddressBits = 0x80fffffc;
constexpr uint64_t kDataOffset = 4;
constexpr uint64_t kResetOffset = 1;
}  // namespace

uint64_t ConfigPorts::io_read(uint64_t offset, unsigned size) {
  uint32_t address = 0;
  {
    std::lock_guard lock(mutex_);
    address = address_;
  }
  if (offset >= kDataOffset) {
    if ((address & kEnable) == 0) return mask_below(size * 8);
    const auto within = static_cast<unsigned>(offset - kDataOffset);
    return root_.config_read(address >> 16 & 0xff, address >> 8 & 0xff, (address & 0xfc) + within, size);
  }
  if (offset == kResetOffset && size == 1) return reset_control_.io_read(offset, size);
  return offset == 0 && size == 4 ? address : mask_below(size * 8);
}

void ConfigPorts::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (offset == kResetOffset && size == 1) {
    reset_control_.io_write(offset, size, value);
    return;
  }
  uint32_t address = 0;
  {
    std::lock_guard lock(mutex_);
    if (offset == 0 && size == 4) address_ = static_cast<uint32_t>(value) & kAddressBits;
    address = address_;
  }
  if (offset < kDataOffset || (address & kEnable) == 0) return;
  const auto within = static_cast<unsigned>(offset - kDataOffset);
  root_.config_write(address >> 16 & 0xff, address >> 8 & 0xff, (address & 0xfc) + within, size,
                     static_cast<uint32_t>(value));
}

void ConfigPorts::reset() {
  std::lock_guard lock(mutex_);
  address_ = 0;
}

void ConfigPorts::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  to(address_);
  to.end();
}

void ConfigPorts::load(StateReader& from) {
  uint32_t address = 0;
  from.begin(name());
  from(address);
  from.end();
  if (from.failed()) return;
  std::lock_guard lock(mutex_);
  address_ = address & kAddressBits;
}

uint64_t ConfigWindow::io_read(uint64_t offset, unsigned size) {
  if (size == 8) return io_read(offset, 4) | io_read(offset + 4, 4) << 32;
  return root_.config_read(static_cast<unsigned>(offset >> 20), offset >> 12 & 0xff, offset & 0xfff, size);
}

void ConfigWindow::io_write(uint64_t offset, unsigned size, uint64_t value) {
  if (size == 8) {
    io_write(offset, 4, value & mask_below(32));
    io_write(offset + 4, 4, value >> 32);
    return;
  }
  root_.config_write(static_cast<unsigned>(offset >> 20), offset >> 12 & 0xff, offset & 0xfff, size,
                     static_cast<uint32_t>(value));
}

}  // namespace eidolon::device::pci
