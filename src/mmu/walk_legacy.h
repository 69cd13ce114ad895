// Entries of 32-bit paging (SDM volume 3, 4.3): two levels of 1024, pages of 4 KiB and, with CR4.PSE,
// of 4 MiB, whose address has 40 bits by PSE-36.
#pragma once

#include "base/bits.h"
#include "mmu/walk_tables.h"

namespace eidolon::mmu {

struct LegacyFormat : TableFormat<uint32_t, 2> {
  static constexpr bool kHasExecuteDisable = false;

  static constexpr bool is_leaf(Entry entry, unsigned /*level*/, const PagingControls& controls) {
    return (entry & x86::kPteLarge) != 0 && (controls.cr4 & x86::kCr4Pse) != 0;
  }
  /// Bits 20:13 of a 4 MiB entry are bits 39:32 of the address; only bit 21 is left to be zero.
  static constexpr Entry reserved(unsigned level, bool leaf, const PagingControls& /*controls*/) {
    return level == 2 && leaf ? 1u << 21 : 0;
  }
  static constexpr uint64_t table(Entry entry) { return entry & ~x86::kPageMask; }
  static constexpr uint64_t frame(Entry entry, unsigned level) {
    if (level == 1) return entry & ~x86::kPageMask;
    return bits(entry, 31, 22) << 22 | bits(entry, 20, 13) << 32;
  }
};

static_assert(LegacyFormat::kLevels == 2 && LegacyFormat::kIndexBits == 10);
static_assert(LegacyFormat::entry_offset(0xffffffff, 2) == 4092 && LegacyFormat::page_size(2) == 4 << 20);
static_assert(x86::kPhysicalAddressBits >= 40, "PSE-36 would have fewer address bits");

}  // namespace eidolon::mmu
