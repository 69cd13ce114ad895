#include "cpu/cpuid_listing.h"

#include <algorithm>

#include "x86/control_registers.h"
#include "x86/cpuid.h"

namespace eidolon::cpu {

namespace {

constexpr uint32_t kSubleaves = 32;  ///< as many as a leaf may have
constexpr uint32_t kMostLeaves = 0x40;

class Listing {
 public:
  Listing(const CpuidModel& model, unsigned processor) : model_(model), processor_(processor) {}

  /// The leaves from `first` to the one that it names as the highest.
  void add_range(uint32_t first) {
    const uint32_t highest = std::min(ask(first, 0).eax, first + kMostLeaves);
    for (uint32_t leaf = first; leaf <= std::max(first, highest); ++leaf) add(leaf);
  }
  std::vector<CpuidLeaf> take() { return std::move(rows_); }

 private:
  [[nodiscard]] CpuidResult ask(uint32_t leaf, uint32_t subleaf) const {
    return model_.query(leaf, subleaf, 0, x86::kXcr0X87, processor_);
  }
  void add(uint32_t leaf) {
    const size_t first = rows_.size();
    const CpuidResult base = ask(leaf, 0);
    rows_.push_back({.leaf = leaf, .subleaf = 0, .has_subleaves = false, .result = base});
    for (uint32_t subleaf = 1; subleaf < kSubleaves; ++subleaf) {
      const CpuidResult result = ask(leaf, subleaf);
      if (result == base) continue;
      rows_.push_back({.leaf = leaf, .subleaf = subleaf, .has_subleaves = true, .result = result});
      rows_[first].has_subleaves = true;
    }
  }

  const CpuidModel& model_;
  const unsigned processor_;
  std::vector<CpuidLeaf> rows_;
};

}  // namespace

std::vector<CpuidLeaf> list_leaves(const CpuidModel& model, unsigned processor) {
  namespace id = x86::cpuid;
  constexpr uint32_t kParavirt = id::kHypervisor + 0x100;  // behind our own name (docs/paravirt.md)
  Listing listing(model, processor);
  for (const uint32_t first :
       {uint32_t{id::kBasic}, uint32_t{id::kHypervisor}, kParavirt, uint32_t{id::kExtended}})
    listing.add_range(first);
  return listing.take();
}

}  // namespace eidolon::cpu
