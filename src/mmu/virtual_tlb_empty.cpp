// An empty virtual TLB. It stands apart, for the C library clears its memory, and may use vector registers.
#include "mmu/make_zero.h"
#include "mmu/virtual_tlb.h"

namespace eidolon::mmu {

VirtualTlb::VirtualTlb() {
  make_zero(storage_, sizeof storage_);
  // SAFETY: arrays of integers, of which zero is the empty set.
  make_zero(reinterpret_cast<std::byte*>(&writable_), sizeof writable_);
  for (unsigned table = 0; table < kTables; ++table) clear(table, 0);
}

}  // namespace eidolon::mmu
