// The page walk: linear to guest-physical, as SDM volume 3, chapter 4 has it, for every paging mode.
#pragma once

#include <cstdint>
#include <expected>

#include "memory/guest_memory.h"
#include "mmu/paging_controls.h"
#include "mmu/rights.h"

namespace eidolon::mmu {

struct Translation {
  memory::GuestPhysical physical;  ///< of the byte asked for
  uint64_t page_size;              ///< 4 KiB, 2 MiB, 4 MiB or 1 GiB
  bool writable;                   ///< a write by the same view would succeed and D is already set
  bool executable;                 ///< a fetch by the same view would succeed
  bool global;                     ///< survives MOV CR3

  // What led there, for those who remember it.
  bool dirty = false;
  Rights rights{};                 ///< of all levels
  Rights above{};                  ///< of the levels above the last
  memory::GuestPhysical last = 0;  ///< 4 KiB page: where its entry is
  uint8_t* last_host = nullptr;    ///< 4 KiB page: the same for the host if it is in RAM
};

/// Translates `linear`, sets A on every level used and D on a write (atomically, as other processors may do
/// so too), and reports the fault that the access would raise. The address must be canonical (the caller
/// raises #GP or #SS). Identity without paging. Page-table entries outside RAM read as all ones, so they
/// fault as reserved. `viewer` is the processor's number.
[[nodiscard]] std::expected<Translation, PageFault> walk(memory::GuestMemory& memory,
                                                         const PagingControls& controls, uint64_t linear,
                                                         Access access, View view, unsigned viewer = 0);

/// Loads the four PDPTEs of PAE paging from CR3 into `controls`. False (#GP) if a present one has reserved
/// bits set; then nothing is changed.
[[nodiscard]] bool load_pdptes(const memory::GuestMemory& memory, PagingControls& controls);

}  // namespace eidolon::mmu
