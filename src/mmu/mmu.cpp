#include "mmu/mmu.h"

namespace eidolon::mmu {

using memory::Region;
using memory::RegionKind;

std::expected<Resolved, PageFault> Mmu::resolve(const PagingControls& controls, uint64_t linear,
                                                Access access, View view) {
  const auto translation = walk(memory_, controls, linear, access, view);
  if (!translation) return std::unexpected(translation.error());

  const memory::GuestPhysical physical = translation->physical;
  const Region* region = memory_.find(physical);
  if (region == nullptr) return Resolved{physical, nullptr};  // MMIO: never in the virtual TLB

  uint8_t* host = region->host + (physical - region->base);
  const bool storable = region->kind == RegionKind::kRam && !memory_.page_has_code(physical);
  if (access != Access::kExecute) {  // the right to execute is not yet the right to read (SMAP)
    const uint64_t offset = physical & x86::kPageMask;
    tlb_.insert(linear, view, host - offset, physical - offset, translation->writable && storable,
                translation->global, translation->page_size);
  }
  return Resolved{physical, access == Access::kWrite && !storable ? nullptr : host};
}

void Mmu::invalidate_page(uint64_t linear) {
  ++generation_;
  tlb_.flush_page(linear);
}

void Mmu::invalidate_non_global() {
  ++generation_;
  tlb_.flush_non_global();
}

void Mmu::invalidate_all() {
  ++generation_;
  tlb_.flush_all();
}

}  // namespace eidolon::mmu
