// Virtual TLB entries of address spaces that are not current, kept until MOV CR3 comes back to them: what a
// program touched before it was switched away it will touch again.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "mmu/virtual_tlb.h"

namespace eidolon::mmu {

class SavedContexts {
 public:
  /// Takes the entries that are not global out of the TLB, for `context`.
  void leave(VirtualTlb& tlb, uint64_t context) {
    Saved& saved = saved_[turn_++ % kContexts];
    saved.context = context;
    saved.count = tlb.save_non_global(saved.entries);
  }
  /// The entries of `context`, once.
  [[nodiscard]] std::span<const VirtualTlb::Saved> take(uint64_t context) {
    for (Saved& saved : saved_) {
      if (saved.context != context) continue;
      saved.context = 0;
      return std::span(saved.entries).first(saved.count);
    }
    return {};
  }

 private:
  static constexpr unsigned kContexts = 8;
  static constexpr unsigned kEntries = 256;
  struct Saved {
    uint64_t context = 0;
    unsigned count = 0;
    std::array<VirtualTlb::Saved, kEntries> entries;
  };
  std::array<Saved, kContexts> saved_{};
  unsigned turn_ = 0;
};

}  // namespace eidolon::mmu
