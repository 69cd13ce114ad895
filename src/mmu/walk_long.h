// Entries of 4-level paging (SDM volume 3, 4.5): four levels of 512, pages of 4 KiB, 2 MiB and 1 GiB.
#pragma once

#include "base/bits.h"
#include "mmu/walk_tables.h"

namespace eidolon::mmu {

struct LongFormat : TableFormat<uint64_t, 4> {
  static constexpr bool kHasExecuteDisable = true;
  static constexpr uint64_t kAddress = mask_below(x86::kPhysicalAddressBits) & ~x86::kPageMask;
  /// Up to bit 51; bits 62:52 are software's.
  static constexpr uint64_t kAboveAddress = mask_below(52) & ~mask_below(x86::kPhysicalAddressBits);

  static constexpr bool is_leaf(Entry entry, unsigned level, const PagingControls& /*controls*/) {
    return (entry & x86::kPteLarge) != 0 && level < kLevels;
  }
  static constexpr Entry reserved(unsigned level, bool leaf, const PagingControls& controls) {
    uint64_t mask = kAboveAddress;
    if ((controls.efer & x86::kEferNxe) == 0) mask |= x86::kPteNoExecute;
    if (level == kLevels) mask |= x86::kPteLarge;
    if (leaf && level > 1) mask |= (page_size(level) - 1) & ~mask_below(13);
    return mask;
  }
  static constexpr uint64_t table(Entry entry) { return entry & kAddress; }
  static constexpr uint64_t frame(Entry entry, unsigned level) {
    return entry & kAddress & ~(page_size(level) - 1);
  }
};

static_assert(LongFormat::kLevels == 4 && LongFormat::kIndexBits == 9);
static_assert(LongFormat::entry_offset(0xffffffffffff, 4) == 4088 && LongFormat::page_size(3) == 1 << 30);
static_assert(LongFormat::reserved(3, true, {}) == (0x800fff0000000000 | 0x3fffe000));

}  // namespace eidolon::mmu
