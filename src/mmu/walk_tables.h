// The one page walk. A format class (walk_legacy.h, walk_pae.h, walk_long.h) says how entries look; the
// order of checks, the access rights and the A and D bits are here (SDM volume 3, 4.6 to 4.8).
//
// A and D are set only when the translation succeeds, so a faulting access leaves the tables as they
// were. They are set by compare-exchange: if an entry changed since it was read, the walk starts again,
// so a bit is never set in an entry other than the one that was used.
//
// Translators call this with the guest's vector registers live: no floating point, no libc.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>

#include "memory/guest_memory.h"
#include "mmu/paging_controls.h"
#include "mmu/rights.h"
#include "mmu/walk.h"
#include "x86/exceptions.h"
#include "x86/paging.h"

namespace eidolon::mmu {

/// What every format has: sizes that follow from the width of an entry.
template <typename EntryType, unsigned kLevelCount>
struct TableFormat {
  using Entry = EntryType;
  static constexpr unsigned kLevels = kLevelCount;  ///< level 1 holds the entries of 4 KiB pages
  static constexpr unsigned kIndexBits = sizeof(Entry) == 8 ? 9 : 10;

  static constexpr unsigned shift(unsigned level) { return x86::kPageShift + (level - 1) * kIndexBits; }
  static constexpr uint64_t page_size(unsigned level) { return uint64_t{1} << shift(level); }
  /// Offset of the entry that translates `linear` in its table.
  static constexpr uint64_t entry_offset(uint64_t linear, unsigned level) {
    return (linear >> shift(level) & ((1u << kIndexBits) - 1)) * sizeof(Entry);
  }
};

/// The error code (SDM volume 3, 4.7): `cause` is 0, P, or P with RSVD.
[[nodiscard]] inline std::unexpected<PageFault> page_fault(const PagingControls& controls, Access access,
                                                           View view, uint32_t cause) {
  uint32_t error = cause;
  if (access == Access::kWrite) error |= x86::kPfWrite;
  if (view == View::kUser) error |= x86::kPfUser;
  const bool fetches_reported = (controls.cr4 & x86::kCr4Smep) != 0 ||
                                ((controls.cr4 & x86::kCr4Pae) != 0 && (controls.efer & x86::kEferNxe) != 0);
  if (access == Access::kExecute && fetches_reported) error |= x86::kPfFetch;
  return std::unexpected(PageFault{error});
}

/// An entry as it was read. `host` is null if it cannot be written: not in RAM.
template <typename Entry>
struct EntrySlot {
  memory::GuestPhysical address;
  Entry value;
  Entry* host;

  static EntrySlot load(const memory::GuestMemory& memory, memory::GuestPhysical address) {
    const auto place = memory.locate(address);
    if (!place) return {address, static_cast<Entry>(~Entry{0}), nullptr};
    // SAFETY: entries are naturally aligned and regions whole pages, so the entry lies in the region.
    auto* host = reinterpret_cast<Entry*>(place->host);
    const Entry value = std::atomic_ref<Entry>(*host).load(std::memory_order_acquire);
    return {address, value, place->kind == memory::RegionKind::kRam ? host : nullptr};
  }

  /// False if the entry is no longer what was read.
  [[nodiscard]] bool set(memory::GuestMemory& memory, uint64_t flags, unsigned viewer) {
    const Entry wanted = static_cast<Entry>(value | flags);
    if (wanted == value || host == nullptr) return true;
    Entry expected = value;
    if (!std::atomic_ref<Entry>(*host).compare_exchange_strong(expected, wanted)) return false;
    value = wanted;
    memory.before_write(address, sizeof(Entry), viewer);
    return true;
  }
};

/// Walks from the table at `root`. A Format offers, besides what TableFormat has:
///   is_leaf(entry, level, controls)   whether an entry above level 1 maps a page
///   reserved(level, leaf, controls)   bits that must be zero in a present entry
///   table(entry), frame(entry, level) the physical address of the next table, and of the page
///   kHasExecuteDisable                whether bit 63 is XD
template <typename Format>
[[nodiscard]] std::expected<Translation, PageFault> walk_tables(memory::GuestMemory& memory,
                                                                const PagingControls& controls,
                                                                memory::GuestPhysical root, uint64_t linear,
                                                                Access access, View view, unsigned viewer) {
  using Entry = typename Format::Entry;
  for (;;) {
    EntrySlot<Entry> slots[Format::kLevels];
    Rights rights, upper;
    memory::GuestPhysical table = root;
    unsigned level = Format::kLevels;
    for (;; --level) {
      EntrySlot<Entry>& slot = slots[level - 1];
      slot = EntrySlot<Entry>::load(memory, table + Format::entry_offset(linear, level));
      const Entry entry = slot.value;
      if ((entry & x86::kPtePresent) == 0) return page_fault(controls, access, view, 0);
      const bool leaf = level == 1 || Format::is_leaf(entry, level, controls);
      if ((entry & Format::reserved(level, leaf, controls)) != 0)
        return page_fault(controls, access, view, x86::kPfPresent | x86::kPfReserved);
      upper = rights;
      rights.user &= (entry & x86::kPteUser) != 0;
      rights.writable &= (entry & x86::kPteWritable) != 0;
      if constexpr (Format::kHasExecuteDisable)
        rights.execute_disable |= (entry & x86::kPteNoExecute) != 0;  // reserved above, unless NXE
      if (leaf) break;
      table = Format::table(entry);
    }
    if (!rights.allow(controls, access, view)) return page_fault(controls, access, view, x86::kPfPresent);

    bool unchanged = true;
    for (unsigned above = Format::kLevels; above > level && unchanged; --above)
      unchanged = slots[above - 1].set(memory, x86::kPteAccessed, viewer);
    EntrySlot<Entry>& leaf = slots[level - 1];
    const uint64_t dirty = access == Access::kWrite ? x86::kPteDirty : 0;
    if (!unchanged || !leaf.set(memory, x86::kPteAccessed | dirty, viewer)) continue;

    // In ROM the bits cannot be set, and what cannot be set need not be waited for.
    const bool is_dirty = (leaf.value & x86::kPteDirty) != 0 || leaf.host == nullptr;
    const uint64_t page_size = Format::page_size(level);
    return Translation{
        .physical = Format::frame(leaf.value, level) | (linear & (page_size - 1)),
        .page_size = page_size,
        .writable = is_dirty && rights.can_write(controls, view),
        .executable = rights.can_execute(controls, view),
        .global = (leaf.value & x86::kPteGlobal) != 0 && (controls.cr4 & x86::kCr4Pge) != 0,
        .dirty = (leaf.value & x86::kPteDirty) != 0,
        .rights = rights,
        .above = upper,
        .last = level == 1 ? leaf.address : 0,
        .last_host = level == 1 ? reinterpret_cast<uint8_t*>(leaf.host) : nullptr,
    };
  }
}

}  // namespace eidolon::mmu
