// An empty virtual TLB. It stands apart, for the C library clears its memory, and may use vector registers.
#include "mmu/make_zero.h"
#include "mmu/virtual_tlb.h"

namespace eidolon::mmu {

VirtualTlb::VirtualTlb() {
  make_zero(storage_, sizeof storage_);
  for (unsigned table = 0; table < kTables; ++table) clear(table, 0);
}

}  // namespace eidolon::mmu
