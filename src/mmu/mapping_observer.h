// For whoever derives something from translations of linear addresses: told what no longer holds.
#pragma once

#include <cstdint>

namespace eidolon::mmu {

class MappingObserver {
 public:
  virtual ~MappingObserver() = default;
  /// The page of `linear`, whatever its size, in the current address space or global.
  virtual void page_forgotten(uint64_t linear) = 0;
  /// From the address space numbered `from` to `to` (Mmu::context): of the old one only global pages still
  /// hold. If the new one has been current before, what held for it then does so again.
  virtual void context_changed(uint64_t from, uint64_t to) = 0;
  virtual void all_forgotten() = 0;
};

}  // namespace eidolon::mmu
