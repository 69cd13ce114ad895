#include "boot/memory_layout.h"

#include <algorithm>

#include "base/bits.h"
#include "base/try.h"
#include "x86/paging.h"

namespace eidolon::boot {

using memory::RegionKind;

namespace {

Result<> check_size(uint64_t size) {
  if (size < kMinimumRam)
    return fail("{} KiB of memory is too little for a PC; give the guest at least {} MiB with --memory",
                size >> 10, kMinimumRam >> 20);
  if ((size & x86::kPageMask) != 0)
    return fail("{} bytes of memory is not a whole number of pages; give --memory in MiB", size);
  return {};
}

/// What begins at `base`, and goes on at 4 GiB if it does not fit below `hole`.
Result<> add_high_ram(memory::GuestMemory& memory, uint64_t base, uint64_t size, uint64_t hole) {
  EIDOLON_TRY(memory.add_region(base, std::min(size, hole) - base, RegionKind::kRam));
  if (size > hole) EIDOLON_TRY(memory.add_region(kMmioHoleEnd, size - hole, RegionKind::kRam));
  return {};
}

}  // namespace

Result<> add_ram(memory::GuestMemory& memory, uint64_t size) {
  EIDOLON_TRY(check_size(size));
  EIDOLON_TRY(memory.add_region(0, kLowRamEnd, RegionKind::kRam));
  EIDOLON_TRY(memory.add_region(kFirmwareBase, kFirmwareEnd - kFirmwareBase, RegionKind::kRam));
  return add_high_ram(memory, kHighRamBase, size, kMmioHoleBase);
}

Result<> add_ram_for_firmware(memory::GuestMemory& memory, uint64_t size) {
  EIDOLON_TRY(check_size(size));
  EIDOLON_TRY(memory.add_region(0, kLowRamEnd, RegionKind::kRam));
  EIDOLON_TRY(memory.add_region(kHighRamBase, kBehindA20 - kHighRamBase, RegionKind::kRam));
  return add_high_ram(memory, kBehindA20, size, size > kFirmwareHole ? kFirmwareHoleOfLarge : kFirmwareHole);
}

std::vector<MapEntry> memory_map(const memory::GuestMemory& memory) {
  std::vector<MapEntry> map;
  for (const memory::Region& region : memory.regions()) {
    const bool firmware = region.base >= kLowRamEnd && region.base < kFirmwareEnd;
    const bool usable = region.kind == RegionKind::kRam && !firmware;
    map.push_back({region.base, region.length, usable ? MapEntry::kUsable : MapEntry::kReserved});
  }
  return map;
}

uint64_t pci_high_base(const memory::GuestMemory& memory) {
  uint64_t end = 1;
  for (const memory::Region& region : memory.regions()) end = std::max(end, region.base + region.length);
  return align_up(end, kPciHighBytes);
}

RamSizes ram_sizes(const memory::GuestMemory& memory) {
  RamSizes sizes;
  for (const memory::Region& region : memory.regions()) {
    if (region.kind != memory::RegionKind::kRam) continue;
    if (region.base < kMmioHoleEnd)
      sizes.low_end = std::max(sizes.low_end, region.base + region.length);
    else
      sizes.high += region.length;
  }
  return sizes;
}

uint64_t high_ram_end(const memory::GuestMemory& memory) {
  const memory::Region* region = memory.find(kHighRamBase);
  return region == nullptr ? kHighRamBase : region->base + region->length;
}

}  // namespace eidolon::boot
