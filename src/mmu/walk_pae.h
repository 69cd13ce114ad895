// Entries of PAE paging below the four PDPTEs (SDM volume 3, 4.4): two levels of 512, pages of 4 KiB and
// 2 MiB. The PDPTEs are registers of the processor (PagingControls::pdpte) and carry no access rights.
#pragma once

#include "base/bits.h"
#include "mmu/walk_tables.h"

namespace eidolon::mmu {

struct PaeFormat : TableFormat<uint64_t, 2> {
  static constexpr bool kHasExecuteDisable = true;
  static constexpr uint64_t kAddress = mask_below(x86::kPhysicalAddressBits) & ~x86::kPageMask;
  /// Unlike in 4-level paging, nothing is left to software above the address.
  static constexpr uint64_t kAboveAddress = mask_below(63) & ~mask_below(x86::kPhysicalAddressBits);
  /// Of a PDPTE: bits 2:1, 8:5 and all above the address.
  static constexpr uint64_t kPdpteReserved = 0x1e6 | ~mask_below(x86::kPhysicalAddressBits);

  static constexpr bool is_leaf(Entry entry, unsigned /*level*/, const PagingControls& /*controls*/) {
    return (entry & x86::kPteLarge) != 0;
  }
  static constexpr Entry reserved(unsigned level, bool leaf, const PagingControls& controls) {
    uint64_t mask = kAboveAddress;
    if ((controls.efer & x86::kEferNxe) == 0) mask |= x86::kPteNoExecute;
    if (leaf && level > 1) mask |= (page_size(level) - 1) & ~mask_below(13);
    return mask;
  }
  static constexpr uint64_t table(Entry entry) { return entry & kAddress; }
  static constexpr uint64_t frame(Entry entry, unsigned level) {
    return entry & kAddress & ~(page_size(level) - 1);
  }
};

static_assert(PaeFormat::kLevels == 2 && PaeFormat::kIndexBits == 9);
static_assert(PaeFormat::entry_offset(0xffffffff, 2) == 4088 && PaeFormat::page_size(2) == 2 << 20);
static_assert(PaeFormat::reserved(2, true, {}) == (0xffffff0000000000 | 0x1fe000));

}  // namespace eidolon::mmu
