#include "mmu/virtual_tlb.h"

namespace eidolon::mmu {

void VirtualTlb::clear(unsigned table, unsigned slot) {
  tables_[table][slot] = {
      .read_tag = empty_tag(slot), .write_tag = empty_tag(slot), .host = 0, .physical = 0};
  local_[table].remove(slot);
  global_[table].remove(slot);
}

/// visit(table, slot)
template <typename Visitor>
void VirtualTlb::for_each_used(Visitor visit) {
  for (unsigned table = 0; table < kTables; ++table) {
    const auto in_table = [&](unsigned slot) { visit(table, slot); };
    local_[table].for_each(in_table);
    global_[table].for_each(in_table);
  }
}

VirtualTlb::VirtualTlb() {
  for (unsigned table = 0; table < kTables; ++table)
    for (unsigned slot = 0; slot < kEntries; ++slot) clear(table, slot);
}

void VirtualTlb::insert(uint64_t linear, View view, uint8_t* host_page, uint64_t physical_page,
                        TlbRights rights, uint64_t page_size) {
  const unsigned table = index(view);
  const unsigned at = slot(linear);
  const uint64_t page = linear & ~x86::kPageMask;
  uint64_t flags = rights.global ? TlbEntry::kGlobal : 0;
  if (page_size > uint64_t{4} << 20) {
    flags |= TlbEntry::kHuge;
    huge_.add(linear);
  } else if (page_size > x86::kPageSize) {
    flags |= TlbEntry::kLarge;
    large_.add(linear);
  }
  if (rights.ac_only) {
    flags |= TlbEntry::kAcOnly;
    if (ac_only_count_ < kAcOnlyMost) ac_only_[ac_only_count_++] = static_cast<uint16_t>(at);
  }
  tables_[table][at] = {.read_tag = page,
                        .write_tag = rights.writable ? page : empty_tag(at),
                        .host = reinterpret_cast<uint64_t>(host_page),  // SAFETY: only lookup() turns it back
                        .physical = physical_page | flags};
  (rights.global ? global_ : local_)[table].add(at);
  (rights.global ? local_ : global_)[table].remove(at);
}

void VirtualTlb::flush_all() {
  for_each_used([this](unsigned table, unsigned at) { clear(table, at); });
  large_.clear();
  huge_.clear();
  ac_only_count_ = 0;
}

void VirtualTlb::flush_non_global() {
  for (unsigned table = 0; table < kTables; ++table)
    local_[table].for_each([this, table](unsigned at) { clear(table, at); });
}

unsigned VirtualTlb::save_non_global(std::span<Saved> room) {
  unsigned count = 0;
  for (unsigned table = 0; table < kTables; ++table)
    local_[table].for_each([&](unsigned at) {
      const TlbEntry& entry = tables_[table][at];
      if (count < room.size() && (entry.physical & TlbEntry::kAcOnly) == 0)
        room[count++] = {table * kEntries + at, entry};
      clear(table, at);
    });
  return count;
}

void VirtualTlb::restore(const Saved& saved, bool writable) {
  const unsigned table = saved.where / kEntries;
  const unsigned at = saved.where % kEntries;
  TlbEntry& entry = tables_[table][at];
  entry = saved.entry;
  if (!writable) entry.write_tag = empty_tag(at);
  if ((entry.physical & TlbEntry::kLarge) != 0) large_.add(entry.read_tag);
  if ((entry.physical & TlbEntry::kHuge) != 0) huge_.add(entry.read_tag);
  local_[table].add(at);
  global_[table].remove(at);
}

void VirtualTlb::flush_page(uint64_t linear) {
  const uint64_t page = linear & ~x86::kPageMask;
  for (unsigned table = 0; table < kTables; ++table)
    if (tables_[table][slot(linear)].read_tag == page) clear(table, slot(linear));
  flush_pieces(large_, page);
  flush_pieces(huge_, page);
}

template <typename Filter>
void VirtualTlb::flush_pieces(Filter& filter, uint64_t linear) {
  if (!filter.has(linear)) return;
  for_each_used([this, linear](unsigned table, unsigned at) {
    const TlbEntry& candidate = tables_[table][at];
    if ((candidate.physical & Filter::kPieceFlag) != 0 &&
        Filter::index(candidate.read_tag) == Filter::index(linear))
      clear(table, at);
  });
  filter.remove(linear);
}

void VirtualTlb::protect_physical(uint64_t physical_page) {
  for_each_used([this, physical_page](unsigned table, unsigned at) {
    TlbEntry& candidate = tables_[table][at];
    if (((candidate.physical ^ physical_page) & ~x86::kPageMask) == 0) candidate.write_tag = empty_tag(at);
  });
}

void VirtualTlb::drop_ac_only() {
  const unsigned table = index(View::kSupervisorAc);
  const auto drop = [this, table](unsigned at) {
    if ((tables_[table][at].physical & TlbEntry::kAcOnly) != 0) clear(table, at);
  };
  if (ac_only_count_ < kAcOnlyMost) {
    for (unsigned i = 0; i < ac_only_count_; ++i) drop(ac_only_[i]);
  } else {
    for_each_used([&](unsigned where, unsigned at) {
      if (where == table) drop(at);
    });
  }
  ac_only_count_ = 0;
}

}  // namespace eidolon::mmu
