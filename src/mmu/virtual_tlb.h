// The virtual TLB: a direct-mapped table for each view (user, supervisor, supervisor with SMAP suspended),
// from linear page to host address, laid out for generated code.
//
// The hit path, with the linear address in A and a scratch register B:
//     mov  B, A ; shr B, 12           32-bit: the low 20 bits of the page number are the slot
//     xor  A, [read_tag + B * 8]      A = offset in the page, if the page matches
//     cmp  A, 4096 - size ; ja miss   also misses if the access leaves the page
//     mov  B, [delta + B * 8]         what is to be added to a linear address of the page
// A tag is the linear address of the page. A tag that must not match holds a page which belongs to another
// slot (`empty_tag`): no address that selects the slot can match it, canonical or not. It is 0 but for slot
// 0, so that fresh memory is an empty table.
//
// Only RAM and ROM are entered, in pieces of 4 KiB. write_tag matches only if a store needs nothing else:
// the view may write, D is set, it is not ROM, and no engine holds translations of the page.
//
// A slot for each of 2^20 pages makes the index a shift and lets nothing that lies within 4 GiB meet in it.
// Of the tables, 96 MiB of addresses, the host supplies what is touched: 32 bytes for each page that is used,
// those of neighbours side by side. What a flush costs depends on what is in use, too: `local` and `global`
// name the slots to visit, and those that MOV CR3 keeps need not be looked at.
//
// SMAP: what EFLAGS.AC lets in is in the third table, so that neither STAC nor CLAC has to touch any entry.
//
// Which entries let a physical page be written is found by the page (`writable_`): 36 MiB more of addresses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mmu/paging_controls.h"
#include "mmu/slot_set.h"
#include "mmu/writable_entries.h"
#include "x86/paging.h"

namespace eidolon::mmu {

struct TlbEntry {
  uint64_t read_tag;
  uint64_t write_tag;
  uint64_t delta;     ///< from linear to host addresses of the page
  uint64_t physical;  ///< guest-physical page | flags
  static constexpr uint64_t kGlobal = 1;
  static constexpr uint64_t kLarge = 2;  ///< a piece of a 2 or 4 MiB page
  static constexpr uint64_t kHuge = 4;   ///< a piece of a 1 GiB page
};

/// What `insert` is told besides the page.
struct TlbRights {
  bool writable = false;  ///< a store needs nothing else
  bool global = false;
};

class VirtualTlb {
 public:
  static constexpr unsigned kEntriesLog2 = 20;
  static constexpr unsigned kEntries = 1u << kEntriesLog2;
  static constexpr unsigned kTables = kViewCount;

  /// One table: the parts of the entries, each by slot.
  struct Table {
    std::array<uint64_t, kEntries> read_tag, write_tag, delta, physical;
    SlotSet<kEntries> local;   ///< slots with entries that are not global
    SlotSet<kEntries> global;  ///< slots with entries that are
  };

  VirtualTlb();
  VirtualTlb(const VirtualTlb&) = delete;
  VirtualTlb& operator=(const VirtualTlb&) = delete;

  [[nodiscard]] static constexpr unsigned slot(uint64_t linear) {
    return linear >> x86::kPageShift & (kEntries - 1);
  }
  [[nodiscard]] static constexpr uint64_t empty_tag(unsigned slot) { return slot == 0 ? x86::kPageSize : 0; }

  /// Host address of [linear, linear + size) if the table can answer, else nullptr. `size` is 1 to 4096.
  [[nodiscard]] uint8_t* lookup(uint64_t linear, unsigned size, bool write, View view) const {
    const Table& entries = table(view);
    const unsigned at = slot(linear);
    const uint64_t offset = linear ^ (write ? entries.write_tag[at] : entries.read_tag[at]);
    if (offset > x86::kPageSize - size) return nullptr;
    // SAFETY: an address in a page of mapped guest memory.
    return reinterpret_cast<uint8_t*>(linear + entries.delta[at]);
  }

  void insert(uint64_t linear, View view, uint8_t* host_page, uint64_t physical_page, TlbRights rights,
              uint64_t page_size = x86::kPageSize);
  void flush_all();
  void flush_non_global();
  /// Drops the page of `linear`; if it is a piece of a large page, all pieces (SDM volume 3, 4.10.4.1).
  void flush_page(uint64_t linear);
  /// Takes the write permission from every entry of the page: it now has translations.
  void protect_physical(uint64_t physical_page);
  /// Takes it from all entries.
  void protect_all();

  /// An entry taken out, and where it goes back to.
  struct Saved {
    uint32_t where;
    TlbEntry entry;
  };
  /// flush_non_global, but up to `room.size()` of the entries can be put back: how many.
  [[nodiscard]] unsigned save_non_global(std::span<Saved> room);
  void restore(const Saved& saved, bool writable);

  [[nodiscard]] const Table& table(View view) const { return tables()[index(view)]; }

 private:
  /// Which regions may have pieces of pages of their size in the tables, hashed to a bit each: INVLPG must
  /// drop them all, and must not look for them where there are none.
  template <unsigned kShift, uint64_t kFlag>
  struct PieceFilter {
    static constexpr uint64_t kPieceFlag = kFlag;
    static constexpr unsigned kBitsLog2 = 12;
    static constexpr unsigned index(uint64_t linear) {
      return static_cast<unsigned>((linear >> kShift) * 0x9e3779b97f4a7c15u >> (64 - kBitsLog2));
    }
    void add(uint64_t linear) { words[index(linear) / 64] |= uint64_t{1} << index(linear) % 64; }
    void remove(uint64_t linear) { words[index(linear) / 64] &= ~(uint64_t{1} << index(linear) % 64); }
    void clear() {
      for (uint64_t& word : words) word = 0;
    }
    [[nodiscard]] bool has(uint64_t linear) const {
      return words[index(linear) / 64] >> index(linear) % 64 & 1;
    }
    std::array<uint64_t, (1u << kBitsLog2) / 64> words{};
  };

  [[nodiscard]] static constexpr unsigned index(View view) { return static_cast<unsigned>(view); }
  // SAFETY: Table is an implicit-lifetime type, and the storage is zero (make_zero), which is an empty table.
  [[nodiscard]] Table* tables() { return reinterpret_cast<Table*>(storage_); }
  [[nodiscard]] const Table* tables() const { return reinterpret_cast<const Table*>(storage_); }
  [[nodiscard]] TlbEntry entry(unsigned table, unsigned slot) const;
  void put(unsigned table, unsigned slot, const TlbEntry& entry);
  void clear(unsigned table, unsigned slot);
  template <typename Visitor>
  void for_each_used(Visitor visit);
  template <typename Filter>
  void flush_pieces(Filter& filter, uint64_t linear);
  [[nodiscard]] bool is_writable(uint32_t where) const;

  alignas(64) std::byte storage_[sizeof(Table) * kTables];  ///< not written before it is needed
  WritableEntries<kTables * kEntries> writable_;            ///< zero, as the tables
  PieceFilter<22, TlbEntry::kLarge> large_;
  PieceFilter<30, TlbEntry::kHuge> huge_;
};

}  // namespace eidolon::mmu
