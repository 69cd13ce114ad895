#include "device/display/vga.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "base/bits.h"
#include "device/display/edid.h"
#include "device/display/ports.h"
#include "device/display/text_mode.h"
#include "device/display/vbe.h"
#include "device/display/window.h"

namespace eidolon::device::display {

namespace {

constexpr uint64_t kRegisterBytes = 4096;
constexpr uint32_t kPage = 4096;
// Offsets in BAR 2.
constexpr uint64_t kPortsOffset = 0x400, kPortsEnd = 0x420, kVbeOffset = 0x500, kVbeEnd = 0x516,
                   kExtraOffset = 0x600, kExtraEnd = 0x608, kByteOrderOffset = 0x604;
constexpr unsigned kFirstMappedPort = 0x3c0;
constexpr uint32_t kLittleEndian = 0x1e1e1e1e;

constexpr std::array<uint8_t, kPage> kZeros{};

/// How much of the display memory is not just zeros, in whole pages. Most of it was never touched.
size_t used_bytes(const uint8_t* memory) {
  size_t used = Vga::kMemoryBytes;
  while (used > 0 && std::memcmp(memory + used - kPage, kZeros.data(), kPage) == 0) used -= kPage;
  return used;
}

}  // namespace

Vga::Vga(const Clock& clock, memory::GuestMemory& memory, const memory::Region& frame,
         std::vector<uint8_t> rom)
    : Function("vga", {.vendor = 0x1234,
                       .device = 0x1111,
                       .class_code = 0x030000,
                       .revision = 2,  // BAR 2 has the extra registers
                       .subsystem_vendor = 0x1af4,
                       .subsystem = 0x1100}),
      clock_(clock),
      guest_memory_(memory),
      frame_(frame) {
  add_bar(0, pci::BarKind::kMemory32, kMemoryBytes, frame_window_, &frame_);
  add_bar(2, pci::BarKind::kMemory32, kRegisterBytes, register_window_);
  if (rom.empty()) return;
  rom_.emplace(std::move(rom));
  add_bar(0, pci::BarKind::kRom, rom_->size(), *rom_);
}

void Vga::reset_device() {
  std::lock_guard lock(mutex_);
  registers_ = power_on_registers();
  std::ranges::fill(bytes(), 0);
  changed(0, kMemoryBytes);
}

/// The processor may have translated code there, as anywhere in memory.
void Vga::changed(uint32_t first, uint32_t length) {
  // SAFETY: the window is an object that is not const. Configuration space moves it, under another lock.
  const memory::GuestPhysical base = std::atomic_ref(const_cast<memory::GuestPhysical&>(frame_.base)).load();
  if (base != memory::GuestMemory::kNowhere) guest_memory_.after_foreign_write(base + first, length);
}

void Vga::enter_text_mode() {
  std::lock_guard lock(mutex_);
  registers_ = text_mode_registers();
  write_text_screen(bytes());
  changed(0, kLegacyBytes);
}

Mode Vga::mode() const {
  std::lock_guard lock(mutex_);
  return mode_of(registers_, kMemoryBytes);
}

void Vga::capture(Capture& into) const {
  std::lock_guard lock(mutex_);
  into.registers = registers_;
  into.mode = mode_of(registers_, kMemoryBytes);
  into.blink = blink_at(clock_.now());
  const bool packed = into.mode.kind == ModeKind::kPacked;
  const size_t length = packed ? 0 : registers_.vbe_enabled() ? kMemoryBytes : kLegacyBytes;
  into.memory.assign(frame_.host, frame_.host + length);
}

uint64_t Vga::read_ports(unsigned first, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i)
    value |= uint64_t{read_port(registers_, first + i, clock_.now())} << (8 * i);
  return value;
}

void Vga::write_ports(unsigned first, unsigned size, uint64_t value) {
  for (unsigned i = 0; i < size; ++i)
    write_port(registers_, first + i, static_cast<uint8_t>(value >> (8 * i)));
}

uint64_t Vga::port_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  return read_ports(static_cast<unsigned>(kPort + offset), size);
}

void Vga::port_write(uint64_t offset, unsigned size, uint64_t value) {
  std::lock_guard lock(mutex_);
  write_ports(static_cast<unsigned>(kPort + offset), size, value);
}

void Vga::set_vbe(unsigned index, uint16_t value) {
  if (write_vbe(registers_, index, value, kMemoryBytes) != VbeEffect::kClearScreen) return;
  const uint32_t cleared = std::min(vbe_screen_bytes(registers_), kMemoryBytes);
  std::ranges::fill(bytes().first(cleared), 0);
  changed(0, cleared);
}

/// The registers have 16 bits; a byte's access gets the lower half.
uint64_t Vga::vbe_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  const uint16_t value =
      offset == 0 ? registers_.vbe_index : read_vbe(registers_, registers_.vbe_index, kMemoryBytes);
  return size == 1 ? value & 0xffu : value;
}

void Vga::vbe_write(uint64_t offset, unsigned /*size*/, uint64_t value) {
  std::lock_guard lock(mutex_);
  if (offset == 0) {
    registers_.vbe_index = static_cast<uint16_t>(value);
  } else {
    set_vbe(registers_.vbe_index, static_cast<uint16_t>(value));
  }
}

uint64_t Vga::window_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i)
    value |= uint64_t{display::read_window(registers_, bytes(), static_cast<uint32_t>(offset) + i)}
             << (8 * i);
  return value;
}

void Vga::window_write(uint64_t offset, unsigned size, uint64_t value) {
  std::lock_guard lock(mutex_);
  for (unsigned i = 0; i < size; ++i) {
    const auto at = display::write_window(registers_, bytes(), static_cast<uint32_t>(offset) + i,
                                          static_cast<uint8_t>(value >> (8 * i)));
    if (at) changed(*at, 4);
  }
}

uint64_t Vga::frame_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  uint64_t value = 0;
  std::memcpy(&value, frame_.host + offset, size);
  return value;
}

void Vga::frame_write(uint64_t offset, unsigned size, uint64_t value) {
  std::lock_guard lock(mutex_);
  std::memcpy(frame_.host + offset, &value, size);
}

uint64_t Vga::register_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  const auto end = offset + size;
  if (end <= kEdid.size()) {
    uint64_t value = 0;
    std::memcpy(&value, kEdid.data() + offset, size);
    return value;
  }
  if (offset >= kPortsOffset && end <= kPortsEnd)
    return read_ports(static_cast<unsigned>(offset - kPortsOffset) + kFirstMappedPort, size);
  if (offset >= kVbeOffset && end <= kVbeEnd)
    return size == 2 ? read_vbe(registers_, static_cast<unsigned>(offset - kVbeOffset) / 2, kMemoryBytes) : 0;
  if (offset == kExtraOffset && size == 4) return kExtraEnd - kExtraOffset;
  if (offset == kByteOrderOffset && size == 4) return kLittleEndian;
  return 0;
}

/// The frame buffer's byte order can only be the little-endian one.
void Vga::register_write(uint64_t offset, unsigned size, uint64_t value) {
  std::lock_guard lock(mutex_);
  const auto end = offset + size;
  if (offset >= kPortsOffset && end <= kPortsEnd) {
    write_ports(static_cast<unsigned>(offset - kPortsOffset) + kFirstMappedPort, size, value);
  } else if (offset >= kVbeOffset && end <= kVbeEnd && size == 2) {
    set_vbe(static_cast<unsigned>(offset - kVbeOffset) / 2, static_cast<uint16_t>(value));
  }
}

void Vga::save_device(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  registers_fields(registers_, to);
  to(std::vector<uint8_t>(frame_.host, frame_.host + used_bytes(frame_.host)));
}

void Vga::load_device(StateReader& from) {
  Registers loaded{};
  std::vector<uint8_t> used;
  registers_fields(loaded, from);
  from(used);
  if (used.size() > kMemoryBytes) from.fail();
  if (from.failed()) return;
  sanitize(loaded, kMemoryBytes);
  std::lock_guard lock(mutex_);
  registers_ = loaded;
  used.resize(align_up(used.size(), kPage), 0);
  // What is right already is not touched: most of it is zeros that the host has no memory for yet.
  for (uint32_t at = 0; at < kMemoryBytes; at += kPage) {
    const uint8_t* page = at < used.size() ? used.data() + at : kZeros.data();
    if (std::memcmp(frame_.host + at, page, kPage) == 0) continue;
    std::memcpy(frame_.host + at, page, kPage);
    changed(at, kPage);
  }
}

}  // namespace eidolon::device::display
