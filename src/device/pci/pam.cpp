#include "device/pci/pam.h"

#include <algorithm>

#include "base/assert.h"
#include "base/try.h"
#include "memory/remap.h"

namespace eidolon::device::pci {

namespace {

using memory::RegionKind;

constexpr uint64_t kSmall = 0x4000;

/// Segment 0 is the upper 64 KiB; 1 to 12 are of 16 KiB each, from 768 KiB up.
constexpr uint64_t base_of(unsigned segment) {
  return segment == 0 ? 0xf0000 : Pam::kBase + (segment - 1) * kSmall;
}
constexpr uint64_t length_of(unsigned segment) { return segment == 0 ? 0x10000 : kSmall; }
static_assert(base_of(12) + kSmall == base_of(0));

/// PAM0 has only an upper half, which is of segment 0; in the others the lower half comes first.
constexpr uint8_t access_of(const std::array<uint8_t, Pam::kRegisters>& registers, unsigned segment) {
  if (segment == 0) return registers[0] >> 4 & 3;
  return registers[(segment + 1) / 2] >> (segment % 2 == 1 ? 0 : 4) & 3;
}

}  // namespace

Result<> Pam::attach(uint8_t* rom_end, uint64_t rom_length) {
  EIDOLON_ASSERT(rom_length >= length_of(0));  // the upper segment is the only large one
  rom_end_ = rom_end;
  rom_length_ = std::min(rom_length, kMostRom);
  for (unsigned segment = 0; segment < kSegments; ++segment) {
    const uint64_t base = base_of(segment);
    EIDOLON_TRY(memory_.add_region(base, length_of(segment), RegionKind::kRam));
    ram_[segment] = memory_.host(base, 1);
    show(segment, 0);
  }
  return {};
}

void Pam::apply(const std::array<uint8_t, kRegisters>& registers) {
  if (rom_end_ == nullptr) return;
  bool any = false;
  for (unsigned segment = 0; segment < kSegments; ++segment) {
    const uint8_t access = access_of(registers, segment);
    if (shown_[segment] == access) continue;
    show(segment, access);
    any = true;
  }
  if (any) memory_.map_changed();
}

void Pam::show(unsigned segment, uint8_t access) {
  const uint64_t base = base_of(segment), from_end = kEnd - base;
  const bool rom = (access & kReadRam) == 0 && from_end <= rom_length_;
  const bool writable = (access & (kReadRam | kWriteRam)) == (kReadRam | kWriteRam);
  memory::remap(memory_, base, rom ? rom_end_ - from_end : ram_[segment],
                writable ? RegionKind::kRam : RegionKind::kRom);
  shown_[segment] = access;
}

}  // namespace eidolon::device::pci
