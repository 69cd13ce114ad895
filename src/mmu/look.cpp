#include "mmu/look.h"

#include "mmu/walk_legacy.h"
#include "mmu/walk_long.h"
#include "mmu/walk_pae.h"

namespace eidolon::mmu {

namespace {

template <typename Format>
std::optional<memory::GuestPhysical> look_in(const memory::GuestMemory& memory,
                                             const PagingControls& controls, memory::GuestPhysical table,
                                             uint64_t linear) {
  for (unsigned level = Format::kLevels;; --level) {
    using Slot = EntrySlot<typename Format::Entry>;
    const auto entry = Slot::load(memory, table + Format::entry_offset(linear, level)).value;
    if ((entry & x86::kPtePresent) == 0) return std::nullopt;
    const bool leaf = level == 1 || Format::is_leaf(entry, level, controls);
    if ((entry & Format::reserved(level, leaf, controls)) != 0) return std::nullopt;
    if (leaf) return Format::frame(entry, level) | (linear & (Format::page_size(level) - 1));
    table = Format::table(entry);
  }
}

bool is_canonical(uint64_t linear) { return linear >> 47 == 0 || linear >> 47 == mask_below(17); }

}  // namespace

std::optional<memory::GuestPhysical> look(const memory::GuestMemory& memory, const PagingControls& controls,
                                          uint64_t linear) {
  if (controls.paging() && controls.long_mode()) {
    if (!is_canonical(linear)) return std::nullopt;
    return look_in<LongFormat>(memory, controls, LongFormat::table(controls.cr3), linear);
  }
  if (linear >> 32 != 0) return std::nullopt;
  if (!controls.paging()) return linear;
  if ((controls.cr4 & x86::kCr4Pae) == 0)
    return look_in<LegacyFormat>(memory, controls, LegacyFormat::table(static_cast<uint32_t>(controls.cr3)),
                                 linear);
  const uint64_t pdpte = controls.pdpte[linear >> 30];
  if ((pdpte & x86::kPtePresent) == 0) return std::nullopt;
  return look_in<PaeFormat>(memory, controls, PaeFormat::table(pdpte), linear);
}

}  // namespace eidolon::mmu
