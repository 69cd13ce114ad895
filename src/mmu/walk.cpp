#include "mmu/walk.h"

#include "mmu/walk_legacy.h"
#include "mmu/walk_long.h"
#include "mmu/walk_pae.h"

namespace eidolon::mmu {

std::expected<Translation, PageFault> walk(memory::GuestMemory& memory, const PagingControls& controls,
                                           uint64_t linear, Access access, View view, unsigned viewer) {
  if (!controls.paging())
    return Translation{.physical = linear & mask_below(32),
                       .page_size = x86::kPageSize,
                       .writable = true,
                       .executable = true,
                       .global = true};  // MOV CR3 changes nothing here, and setting CR0.PG drops all

  if (controls.long_mode())
    return walk_tables<LongFormat>(memory, controls, LongFormat::table(controls.cr3), linear, access, view, viewer);

  linear &= mask_below(32);
  if ((controls.cr4 & x86::kCr4Pae) == 0)
    return walk_tables<LegacyFormat>(
        memory, controls, LegacyFormat::table(static_cast<uint32_t>(controls.cr3)), linear, access, view, viewer);

  const uint64_t pdpte = controls.pdpte[linear >> 30];
  if ((pdpte & x86::kPtePresent) == 0) return page_fault(controls, access, view, 0);
  return walk_tables<PaeFormat>(memory, controls, PaeFormat::table(pdpte), linear, access, view, viewer);
}

bool load_pdptes(const memory::GuestMemory& memory, PagingControls& controls) {
  const memory::GuestPhysical table = controls.cr3 & mask_below(32) & ~mask_below(5);
  uint64_t loaded[4];
  for (unsigned i = 0; i < 4; ++i) {
    loaded[i] = EntrySlot<uint64_t>::load(memory, table + i * sizeof(uint64_t)).value;
    if ((loaded[i] & x86::kPtePresent) != 0 && (loaded[i] & PaeFormat::kPdpteReserved) != 0) return false;
  }
  for (unsigned i = 0; i < 4; ++i) controls.pdpte[i] = loaded[i];
  return true;
}

}  // namespace eidolon::mmu
