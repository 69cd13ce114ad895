// The registers that decide how a linear address is translated, and the names for who asks.
#pragma once

#include <cstdint>

#include "x86/control_registers.h"

namespace eidolon::mmu {

struct PagingControls {
  uint64_t cr0 = 0;
  uint64_t cr3 = 0;
  uint64_t cr4 = 0;
  uint64_t efer = 0;
  uint64_t pdpte[4] = {};  ///< loaded from memory by MOV CR3 and friends under PAE paging (SDM 3, 4.4.1)

  [[nodiscard]] bool paging() const { return (cr0 & x86::kCr0Pg) != 0; }
  [[nodiscard]] bool long_mode() const { return (efer & x86::kEferLma) != 0; }
  /// PAE paging: `pdpte` counts.
  [[nodiscard]] bool pae_paging() const { return paging() && !long_mode() && (cr4 & x86::kCr4Pae) != 0; }
};

enum class Access : uint8_t { kRead, kWrite, kExecute };

/// On whose behalf an access is made: each has its own virtual TLB, so that a change of privilege
/// empties none. Without SMAP, kSupervisor serves both supervisor views.
enum class View : uint8_t {
  kUser,        ///< explicit access at CPL 3
  kSupervisor,  ///< CPL < 3 with EFLAGS.AC = 0, and every implicit access (descriptor tables, TSS, stacks of
                ///< event delivery): user pages are out of bounds if CR4.SMAP
  kSupervisorAc,  ///< CPL < 3 with EFLAGS.AC = 1: SMAP suspended
};
inline constexpr unsigned kViewCount = 3;

/// A failed translation: the error code of #PF as the processor would push it.
struct PageFault {
  uint32_t error;
};

}  // namespace eidolon::mmu
