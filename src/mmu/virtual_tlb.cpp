#include "mmu/virtual_tlb.h"

#include <bit>

namespace eidolon::mmu {

void VirtualTlb::clear(View view, unsigned slot) {
  const auto v = static_cast<unsigned>(view);
  tables_[v][slot] = {.read_tag = empty_tag(slot), .write_tag = empty_tag(slot), .host = 0, .physical = 0};
  used_[v][slot / 64] &= ~(uint64_t{1} << slot % 64);
}

template <typename Visitor>
void VirtualTlb::for_each_used(Visitor visit) {
  for (unsigned v = 0; v < kViewCount; ++v)
    for (unsigned word = 0; word < kUsedWords; ++word)
      for (uint64_t left = used_[v][word]; left != 0; left &= left - 1)
        visit(static_cast<View>(v), word * 64 + static_cast<unsigned>(std::countr_zero(left)));
}

VirtualTlb::VirtualTlb() {
  for (unsigned v = 0; v < kViewCount; ++v)
    for (unsigned slot = 0; slot < kEntries; ++slot) clear(static_cast<View>(v), slot);
}

void VirtualTlb::insert(uint64_t linear, View view, uint8_t* host_page, uint64_t physical_page, bool writable,
                        bool global, uint64_t page_size) {
  const auto v = static_cast<unsigned>(view);
  const unsigned at = slot(linear);
  const uint64_t page = linear & ~x86::kPageMask;
  uint64_t flags = global ? TlbEntry::kGlobal : 0;
  if (page_size > uint64_t{4} << 20) {
    flags |= TlbEntry::kHuge;
    huge_.add(linear);
  } else if (page_size > x86::kPageSize) {
    flags |= TlbEntry::kLarge;
    large_.add(linear);
  }
  tables_[v][at] = {.read_tag = page,
                    .write_tag = writable ? page : empty_tag(at),
                    .host = reinterpret_cast<uint64_t>(host_page),  // SAFETY: only lookup() turns it back
                    .physical = physical_page | flags};
  used_[v][at / 64] |= uint64_t{1} << at % 64;
}

void VirtualTlb::flush_all() {
  for_each_used([this](View view, unsigned at) { clear(view, at); });
  large_ = {};
  huge_ = {};
}

void VirtualTlb::flush_non_global() {
  for_each_used([this](View view, unsigned at) {
    if ((entry(view, at).physical & TlbEntry::kGlobal) == 0) clear(view, at);
  });
}

void VirtualTlb::flush_page(uint64_t linear) {
  const uint64_t page = linear & ~x86::kPageMask;
  for (unsigned v = 0; v < kViewCount; ++v)
    if (const auto view = static_cast<View>(v); entry(view, slot(linear)).read_tag == page)
      clear(view, slot(linear));
  flush_pieces(large_, page);
  flush_pieces(huge_, page);
}

template <typename Filter>
void VirtualTlb::flush_pieces(Filter& filter, uint64_t linear) {
  if (!filter.has(linear)) return;
  for_each_used([this, linear](View view, unsigned at) {
    const TlbEntry& candidate = entry(view, at);
    if ((candidate.physical & Filter::kPieceFlag) != 0 &&
        Filter::index(candidate.read_tag) == Filter::index(linear))
      clear(view, at);
  });
  filter.remove(linear);
}

void VirtualTlb::protect_physical(uint64_t physical_page) {
  for_each_used([this, physical_page](View view, unsigned at) {
    TlbEntry& candidate = entry(view, at);
    if (((candidate.physical ^ physical_page) & ~x86::kPageMask) == 0) candidate.write_tag = empty_tag(at);
  });
}

}  // namespace eidolon::mmu
