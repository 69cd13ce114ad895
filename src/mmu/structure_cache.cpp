#include "mmu/structure_cache.h"

#include "mmu/walk_long.h"

namespace eidolon::mmu {

std::optional<Translation> StructureCache::translate(memory::GuestMemory& memory,
                                                     const PagingControls& controls, const Contexts& contexts,
                                                     uint64_t linear, Access access, View view,
                                                     unsigned viewer) const {
  const uint64_t region = linear >> kRegionShift;
  const Entry& entry = entries_[index(region)];
  if (entry.region != region) return {};
  if (entry.table == nullptr) {
    if (entry.context != (entry.global ? contexts.global() : contexts.current().translations)) return {};
    if (!entry.rights.allow(controls, access, view)) return {};
    if (access == Access::kWrite && !entry.dirty) return {};
    return Translation{.physical = entry.frame | (linear & mask_below(kRegionShift)),
                       .page_size = entry.page_size,
                       .writable = entry.dirty && entry.rights.can_write(controls, view),
                       .executable = entry.rights.can_execute(controls, view),
                       .global = entry.global,
                       .rights = entry.rights};
  }
  if (entry.context != contexts.current().structures) return {};

  using Slot = EntrySlot<LongFormat::Entry>;
  const uint64_t offset = LongFormat::entry_offset(linear, 1);
  // SAFETY: `table` is a whole page of guest RAM.
  auto* host = reinterpret_cast<LongFormat::Entry*>(entry.table + offset);
  Slot slot{entry.frame + offset, std::atomic_ref<LongFormat::Entry>(*host).load(std::memory_order_acquire),
            host};
  if ((slot.value & x86::kPtePresent) == 0) return {};
  if ((slot.value & LongFormat::reserved(1, true, controls)) != 0) return {};
  Rights rights = entry.rights;
  rights.user &= (slot.value & x86::kPteUser) != 0;
  rights.writable &= (slot.value & x86::kPteWritable) != 0;
  rights.execute_disable |= (slot.value & x86::kPteNoExecute) != 0;
  if (!rights.allow(controls, access, view)) return {};
  const uint64_t dirty = access == Access::kWrite ? x86::kPteDirty : 0;
  if (!slot.set(memory, x86::kPteAccessed | dirty, viewer)) return {};
  return Translation{
      .physical = LongFormat::frame(slot.value, 1) | (linear & x86::kPageMask),
      .page_size = x86::kPageSize,
      .writable = (slot.value & x86::kPteDirty) != 0 && rights.can_write(controls, view),
      .executable = rights.can_execute(controls, view),
      .global = (slot.value & x86::kPteGlobal) != 0 && (controls.cr4 & x86::kCr4Pge) != 0,
      .rights = rights,
  };
}

void StructureCache::enter(const Contexts& contexts, uint64_t linear, const Translation& translation) {
  const uint64_t region = linear >> kRegionShift;
  Entry& entry = entries_[index(region)];
  if (translation.page_size == x86::kPageSize) {
    if (translation.last_host == nullptr) return;
    const uint64_t offset = translation.last & x86::kPageMask;
    entry = {.region = region,
             .context = contexts.current().structures,
             .table = translation.last_host - offset,
             .frame = translation.last - offset,
             .rights = translation.above};
    return;
  }
  if (translation.page_size > uint64_t{1} << kRegionShift && !note_huge(linear)) return;
  entry = {.region = region,
           .context = translation.global ? contexts.global() : contexts.current().translations,
           .frame = translation.physical & ~mask_below(kRegionShift),
           .page_size = translation.page_size,
           .rights = translation.rights,
           .dirty = translation.dirty,
           .global = translation.global};
}

/// False if there is no room: then the piece must not be entered.
bool StructureCache::note_huge(uint64_t linear) {
  for (unsigned i = 0; i < huge_count_; ++i)
    if (huge_[i] == linear >> kHugeShift) return true;
  if (huge_count_ == kHugeRegions) return false;
  huge_[huge_count_++] = linear >> kHugeShift;
  return true;
}

void StructureCache::forget_page(uint64_t linear) {
  const uint64_t region = linear >> kRegionShift;
  if (Entry& entry = entries_[index(region)]; entry.region == region) entry.region = kNoRegion;
  for (unsigned i = 0; i < huge_count_; ++i) {
    if (huge_[i] != linear >> kHugeShift) continue;
    for (Entry& entry : entries_)
      if (entry.region >> (kHugeShift - kRegionShift) == huge_[i]) entry.region = kNoRegion;
    huge_[i] = huge_[--huge_count_];
    return;
  }
}

}  // namespace eidolon::mmu
