// One processor's memory management unit: page walk, what is remembered of it, virtual TLB, and the
// invalidations of all.
#pragma once

#include <cstdint>
#include <expected>

#include "memory/guest_memory.h"
#include "mmu/contexts.h"
#include "mmu/mapping_observer.h"
#include "mmu/paging_controls.h"
#include "mmu/saved_contexts.h"
#include "mmu/structure_cache.h"
#include "mmu/virtual_tlb.h"
#include "mmu/walk.h"

namespace eidolon::mmu {

/// Where an access lands. `host` is null if a plain host access will not do: MMIO, unmapped, a store to ROM,
/// or (for stores) a page that has translations; then the caller goes by `physical`.
struct Resolved {
  memory::GuestPhysical physical;
  uint8_t* host;
  bool global = false;                  ///< the translation survives MOV CR3
  uint64_t page_size = x86::kPageSize;  ///< what one INVLPG drops
};

class Mmu {
 public:
  /// `viewer`: the processor's number, under which guest memory knows it.
  explicit Mmu(memory::GuestMemory& memory, unsigned viewer = 0) : memory_(memory), viewer_(viewer) {}

  /// Translates one byte's address (canonical, or 32-bit outside long mode) and fills the virtual TLB.
  [[nodiscard]] std::expected<Resolved, PageFault> resolve(const PagingControls& controls, uint64_t linear,
                                                           Access access, View view);

  [[nodiscard]] VirtualTlb& tlb() { return tlb_; }
  [[nodiscard]] memory::GuestMemory& memory() { return memory_; }

  // Invalidations, by what the guest did (SDM volume 3, 4.10.4). Each may drop more than it must. They also
  // advance `generation`, by which engines drop what they derived from translations of code.
  void invalidate_page(uint64_t linear);  ///< INVLPG
  void invalidate_non_global();           ///< of the current address space
  void invalidate_all();                  ///< changes of CR0.PG, CR4.PGE and the like; INVPCID all
  /// MOV CR3, from one PCID to the other (0 without PCIDs); `keep`: bit 63 of the source.
  void change_context(uint16_t from, uint16_t to, bool keep);
  /// INVPCID with a PCID that is not the current one.
  void invalidate_other_context(uint16_t pcid);
  void invalidate_other_contexts();
  [[nodiscard]] uint64_t generation() const { return generation_; }
  /// The number under which translations that are not global hold now.
  [[nodiscard]] uint64_t context() const { return contexts_.current().translations; }

  /// The page is to have translations: a store to it finds no entry any more. On the processor's thread, or
  /// while that one stands aside (cpu::Turn).
  void protect(memory::GuestPhysical page) {
    memory_.leave_writer(page, viewer_);
    tlb_.protect_physical(page);
  }

  /// Every page is asked for again before it is written (GuestMemory::log_writes). On the processor's thread,
  /// or while it stands.
  void protect_all() { tlb_.protect_all(); }

  /// One, or null.
  void set_observer(MappingObserver* observer) { observer_ = observer; }

  struct Counters {
    uint64_t walks = 0;      ///< from the root
    uint64_t shortcuts = 0;  ///< translations that the upper levels' cache led to
    uint64_t page_flushes = 0, context_flushes = 0, context_returns = 0, full_flushes = 0;
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  [[nodiscard]] std::expected<Translation, PageFault> translate(const PagingControls& controls,
                                                                uint64_t linear, Access access, View view);

  memory::GuestMemory& memory_;
  const unsigned viewer_;
  MappingObserver* observer_ = nullptr;
  uint64_t generation_ = 1;
  Counters counters_;
  Contexts contexts_;
  StructureCache structures_;
  SavedContexts saved_;
  VirtualTlb tlb_;
};

}  // namespace eidolon::mmu
