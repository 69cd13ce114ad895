// One processor's memory management unit: page walk, virtual TLB and the invalidations of both.
#pragma once

#include <cstdint>
#include <expected>

#include "memory/guest_memory.h"
#include "mmu/paging_controls.h"
#include "mmu/virtual_tlb.h"
#include "mmu/walk.h"

namespace eidolon::mmu {

/// Where an access lands. `host` is null if a plain host access will not do: MMIO, unmapped, a store to ROM,
/// or (for stores) a page that has translations; then the caller goes by `physical`.
struct Resolved {
  memory::GuestPhysical physical;
  uint8_t* host;
};

class Mmu {
 public:
  explicit Mmu(memory::GuestMemory& memory) : memory_(memory) {}

  /// Translates one byte's address (canonical, or 32-bit outside long mode) and fills the virtual TLB.
  [[nodiscard]] std::expected<Resolved, PageFault> resolve(const PagingControls& controls, uint64_t linear,
                                                           Access access, View view);

  [[nodiscard]] VirtualTlb& tlb() { return tlb_; }
  [[nodiscard]] memory::GuestMemory& memory() { return memory_; }

  // Invalidations, by what the guest did (SDM volume 3, 4.10.4). Each may drop more than it must. They also
  // advance `generation`, by which engines drop what they derived from translations of code.
  void invalidate_page(uint64_t linear);  ///< INVLPG
  void invalidate_non_global();           ///< MOV CR3, INVPCID single context
  void invalidate_all();                  ///< changes of CR0.PG, CR4.PGE and the like; INVPCID all
  [[nodiscard]] uint64_t generation() const { return generation_; }

 private:
  memory::GuestMemory& memory_;
  uint64_t generation_ = 1;
  VirtualTlb tlb_;
};

}  // namespace eidolon::mmu
