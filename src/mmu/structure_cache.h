// What the upper levels of the guest's page tables said, by region of 2 MiB: where the region's page table
// is, or the large page that it lies in (SDM volume 3, 4.10.2 and 4.10.3). A miss of the virtual TLB then
// takes one entry of a page table, or none. 4-level paging only.
//
// An entry holds for a context, and a context is a number that is never used again (contexts.h), so dropping
// all that a flush concerns is choosing new numbers:
//   page tables    the current address space since its last flush or INVLPG: INVLPG drops them all
//   large pages    the current address space since its last flush, or, if global, the last flush of those
//
// Only what a successful walk used is entered, so A is set in every entry above.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "mmu/contexts.h"
#include "mmu/walk.h"

namespace eidolon::mmu {

class StructureCache {
 public:
  /// The translation, with A and D set as the walk would; nothing if the cache does not know or the access
  /// would not succeed: the walk decides.
  [[nodiscard]] std::optional<Translation> translate(memory::GuestMemory& memory,
                                                     const PagingControls& controls, const Contexts& contexts,
                                                     uint64_t linear, Access access, View view,
                                                     unsigned viewer) const;
  /// Notes what the walk that led to `translation` used.
  void enter(const Contexts& contexts, uint64_t linear, const Translation& translation);
  /// INVLPG: the large page that `linear` lies in. (Page tables go by their context.)
  void forget_page(uint64_t linear);

 private:
  static constexpr unsigned kRegionShift = 21;
  static constexpr unsigned kEntries = 512;
  static constexpr unsigned kHugeShift = 30;
  static constexpr unsigned kHugeRegions = 8;
  static constexpr uint64_t kNoRegion = ~uint64_t{0};

  struct alignas(64) Entry {
    uint64_t region = kNoRegion;  ///< linear address >> kRegionShift
    uint64_t context = 0;
    uint8_t* table = nullptr;         ///< host address of the page table; null: a large page
    memory::GuestPhysical frame = 0;  ///< guest-physical address of the page table, or of the region
    uint64_t page_size = 0;           ///< large page: its size
    Rights rights{};                  ///< of the upper levels; large page: of all
    bool dirty = false;               ///< large page: D is set
    bool global = false;              ///< large page
  };
  [[nodiscard]] static unsigned index(uint64_t region) {
    return static_cast<unsigned>(region ^ region >> 9 ^ region >> 18) & (kEntries - 1);
  }

  [[nodiscard]] bool note_huge(uint64_t linear);

  std::array<Entry, kEntries> entries_{};
  std::array<uint64_t, kHugeRegions> huge_{};  ///< linear addresses >> kHugeShift that have pieces here
  unsigned huge_count_ = 0;
};

}  // namespace eidolon::mmu
