#include "mmu/virtual_tlb.h"

namespace eidolon::mmu {

TlbEntry VirtualTlb::entry(unsigned table, unsigned slot) const {
  const Table& t = tables()[table];
  return {.read_tag = t.read_tag[slot],
          .write_tag = t.write_tag[slot],
          .delta = t.delta[slot],
          .physical = t.physical[slot]};
}

void VirtualTlb::put(unsigned table, unsigned slot, const TlbEntry& entry) {
  Table& t = tables()[table];
  t.read_tag[slot] = entry.read_tag;
  t.write_tag[slot] = entry.write_tag;
  t.delta[slot] = entry.delta;
  t.physical[slot] = entry.physical;
}

void VirtualTlb::clear(unsigned table, unsigned slot) {
  put(table, slot, {.read_tag = empty_tag(slot), .write_tag = empty_tag(slot), .delta = 0, .physical = 0});
  tables()[table].local.remove(slot);
  tables()[table].global.remove(slot);
}

/// visit(table, slot)
template <typename Visitor>
void VirtualTlb::for_each_used(Visitor visit) {
  for (unsigned table = 0; table < kTables; ++table) {
    const auto in_table = [&](unsigned slot) { visit(table, slot); };
    tables()[table].local.for_each(in_table);
    tables()[table].global.for_each(in_table);
  }
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
  // SAFETY: only lookup() and generated code turn it back into an address.
  put(table, at,
      {.read_tag = page,
       .write_tag = rights.writable ? page : empty_tag(at),
       .delta = reinterpret_cast<uint64_t>(host_page) - page,
       .physical = physical_page | flags});
  Table& t = tables()[table];
  (rights.global ? t.global : t.local).add(at);
  (rights.global ? t.local : t.global).remove(at);
  if (rights.writable) writable_.add(physical_page, table * kEntries + at);
}

void VirtualTlb::flush_all() {
  for_each_used([this](unsigned table, unsigned at) { clear(table, at); });
  large_.clear();
  huge_.clear();
}

void VirtualTlb::flush_non_global() {
  for (unsigned table = 0; table < kTables; ++table)
    tables()[table].local.for_each([this, table](unsigned at) { clear(table, at); });
}

unsigned VirtualTlb::save_non_global(std::span<Saved> room) {
  unsigned count = 0;
  for (unsigned table = 0; table < kTables; ++table)
    tables()[table].local.for_each([&](unsigned at) {
      if (count < room.size()) room[count++] = {table * kEntries + at, entry(table, at)};
      clear(table, at);
    });
  return count;
}

void VirtualTlb::restore(const Saved& saved, bool writable) {
  const unsigned table = saved.where / kEntries;
  const unsigned at = saved.where % kEntries;
  TlbEntry entry = saved.entry;
  if (!writable) entry.write_tag = empty_tag(at);
  if ((entry.physical & TlbEntry::kLarge) != 0) large_.add(entry.read_tag);
  if ((entry.physical & TlbEntry::kHuge) != 0) huge_.add(entry.read_tag);
  put(table, at, entry);
  tables()[table].local.add(at);
  tables()[table].global.remove(at);
  if (entry.write_tag == entry.read_tag) writable_.add(entry.physical, saved.where);
}

void VirtualTlb::flush_page(uint64_t linear) {
  const uint64_t page = linear & ~x86::kPageMask;
  for (unsigned table = 0; table < kTables; ++table)
    if (tables()[table].read_tag[slot(linear)] == page) clear(table, slot(linear));
  flush_pieces(large_, page);
  flush_pieces(huge_, page);
}

template <typename Filter>
void VirtualTlb::flush_pieces(Filter& filter, uint64_t linear) {
  if (!filter.has(linear)) return;
  for_each_used([this, linear](unsigned table, unsigned at) {
    const Table& t = tables()[table];
    if ((t.physical[at] & Filter::kPieceFlag) != 0 && Filter::index(t.read_tag[at]) == Filter::index(linear))
      clear(table, at);
  });
  filter.remove(linear);
}

bool VirtualTlb::is_writable(uint32_t where) const {
  const Table& t = tables()[where / kEntries];
  const unsigned at = where % kEntries;
  return t.write_tag[at] == t.read_tag[at] && t.write_tag[at] != empty_tag(at);
}

void VirtualTlb::protect_all() {
  for_each_used([this](unsigned table, unsigned at) { tables()[table].write_tag[at] = empty_tag(at); });
}

void VirtualTlb::protect_physical(uint64_t physical_page) {
  writable_.visit(physical_page, [this, physical_page](uint32_t where) {
    Table& t = tables()[where / kEntries];
    const unsigned at = where % kEntries;
    if (((t.physical[at] ^ physical_page) & ~x86::kPageMask) == 0) t.write_tag[at] = empty_tag(at);
    return is_writable(where);
  });
}

}  // namespace eidolon::mmu
