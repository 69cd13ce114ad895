// Where the virtual TLB's entries are that let a physical page be written: what has to be looked at when the
// page gets translations. Entries are chained by a hash of their page. A chain may have entries in it that
// have become others since, until somebody goes along it, but it misses none.
//
// All zero is empty, and only what is used is touched: there is room for every slot of the tables.
#pragma once

#include <array>
#include <cstdint>

#include "x86/paging.h"

namespace eidolon::mmu {

template <unsigned kSlots>
class WritableEntries {
 public:
  /// Notes that the entry in `slot` writes the page.
  void add(uint64_t physical_page, uint32_t slot) {
    const uint32_t chain = index(physical_page);
    if (chain_[slot] == chain + 1) return;
    remove(slot);
    const uint32_t first = first_[chain];
    next_[slot] = first;
    if (first != 0) previous_[first - 1] = slot + 1;
    previous_[slot] = 0;
    first_[chain] = slot + 1;
    chain_[slot] = chain + 1;
  }
  /// Calls visit(slot) for what may be the entries of the page; those for which it returns false are
  /// forgotten.
  template <typename Visitor>
  void visit(uint64_t physical_page, Visitor visit) {
    for (uint32_t at = first_[index(physical_page)]; at != 0;) {
      const uint32_t slot = at - 1;
      at = next_[slot];
      if (!visit(slot)) remove(slot);
    }
  }

 private:
  static constexpr unsigned kChainsLog2 = 16;
  [[nodiscard]] static constexpr uint32_t index(uint64_t physical) {
    return static_cast<uint32_t>((physical >> x86::kPageShift) * 0x9e3779b97f4a7c15u >> (64 - kChainsLog2));
  }
  void remove(uint32_t slot) {
    if (chain_[slot] == 0) return;
    const uint32_t next = next_[slot], previous = previous_[slot];
    (previous != 0 ? next_[previous - 1] : first_[chain_[slot] - 1]) = next;
    if (next != 0) previous_[next - 1] = previous;
    chain_[slot] = 0;
  }

  // Slots and chains are noted by their number plus one; 0 is none.
  std::array<uint32_t, 1u << kChainsLog2> first_;
  std::array<uint32_t, kSlots> chain_, next_, previous_;
};

}  // namespace eidolon::mmu
