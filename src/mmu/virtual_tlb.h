// The virtual TLB: per view a direct-mapped table from linear page to host address, laid out for
// generated code.
//
// The hit path, with the linear address in A and a scratch register B (five instructions):
//     mov  B, A ; shr B, 7 ; and B, (kEntries - 1) << 5     byte offset of the entry
//     xor  A, [table + B + read_tag]                        A = offset in the page, if the page matches
//     cmp  A, 4096 - size ; ja miss                         also misses if the access leaves the page
//     add  A, [table + B + host]                            A = host address
// A tag is the linear address of the page. A tag that must not match holds a page which belongs to another
// slot (`empty_tag`): no address that selects the slot can match it, canonical or not.
//
// Only RAM and ROM are entered, in pieces of 4 KiB. write_tag matches only if a store needs nothing else:
// the view may write, D is set, it is not ROM, and no engine holds translations of the page.
#pragma once

#include <array>
#include <cstdint>

#include "mmu/paging_controls.h"
#include "x86/paging.h"

namespace eidolon::mmu {

struct TlbEntry {
  uint64_t read_tag;
  uint64_t write_tag;
  uint64_t host;      ///< host address of the page
  uint64_t physical;  ///< guest-physical page | flags
  static constexpr uint64_t kGlobal = 1;
  static constexpr uint64_t kLarge = 2;  ///< a piece of a 2 or 4 MiB page
  static constexpr uint64_t kHuge = 4;   ///< a piece of a 1 GiB page
};
static_assert(sizeof(TlbEntry) == 32);

class VirtualTlb {
 public:
  static constexpr unsigned kEntriesLog2 = 10;
  static constexpr unsigned kEntries = 1u << kEntriesLog2;

  VirtualTlb();

  [[nodiscard]] static constexpr unsigned slot(uint64_t linear) {
    return linear >> x86::kPageShift & (kEntries - 1);
  }
  [[nodiscard]] static constexpr uint64_t empty_tag(unsigned slot) {
    return uint64_t{slot ^ 1} << x86::kPageShift;
  }

  /// Host address of [linear, linear + size) if the table can answer, else nullptr. `size` is 1 to 4096.
  [[nodiscard]] uint8_t* lookup(uint64_t linear, unsigned size, bool write, View view) const {
    const TlbEntry& entry = tables_[static_cast<unsigned>(view)][slot(linear)];
    const uint64_t offset = linear ^ (write ? entry.write_tag : entry.read_tag);
    if (offset > x86::kPageSize - size) return nullptr;
    return reinterpret_cast<uint8_t*>(entry.host + offset);  // SAFETY: host is a page of mapped guest memory
  }

  void insert(uint64_t linear, View view, uint8_t* host_page, uint64_t physical_page, bool writable,
              bool global, uint64_t page_size = x86::kPageSize);
  void flush_all();
  void flush_non_global();
  /// Drops the page of `linear`; if it is a piece of a large page, all pieces (SDM volume 3, 4.10.4.1).
  void flush_page(uint64_t linear);
  /// Takes the write permission from every entry of the page: it now has translations.
  void protect_physical(uint64_t physical_page);

  [[nodiscard]] const TlbEntry* table(View view) const { return tables_[static_cast<unsigned>(view)].data(); }

 private:
  static constexpr unsigned kUsedWords = kEntries / 64;
  /// Which regions may have pieces of pages of their size in the table, hashed to a bit each: INVLPG must
  /// drop them all, and must not look for them where there are none.
  template <unsigned kShift, uint64_t kFlag>
  struct PieceFilter {
    static constexpr uint64_t kPieceFlag = kFlag;
    static constexpr unsigned kBits = 256;
    static constexpr unsigned index(uint64_t linear) { return linear >> kShift & (kBits - 1); }
    void add(uint64_t linear) { words[index(linear) / 64] |= uint64_t{1} << index(linear) % 64; }
    void remove(uint64_t linear) { words[index(linear) / 64] &= ~(uint64_t{1} << index(linear) % 64); }
    [[nodiscard]] bool has(uint64_t linear) const {
      return words[index(linear) / 64] >> index(linear) % 64 & 1;
    }
    std::array<uint64_t, kBits / 64> words{};
  };

  [[nodiscard]] TlbEntry& entry(View view, unsigned slot) {
    return tables_[static_cast<unsigned>(view)][slot];
  }
  void clear(View view, unsigned slot);
  template <typename Visitor>
  void for_each_used(Visitor visit);
  template <typename Filter>
  void flush_pieces(Filter& filter, uint64_t linear);

  alignas(64) std::array<std::array<TlbEntry, kEntries>, kViewCount> tables_;
  std::array<std::array<uint64_t, kUsedWords>, kViewCount> used_{};  ///< slots to visit when flushing
  PieceFilter<22, TlbEntry::kLarge> large_;
  PieceFilter<30, TlbEntry::kHuge> huge_;
};

}  // namespace eidolon::mmu
