// The virtual TLB: a direct-mapped table for user mode and one for supervisor mode, from linear page to host
// address, laid out for generated code.
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
//
// The tables are large enough (64 MiB each) that an index of low bits does: arrays that lie side by side do
// not meet in it. What a flush costs depends on what is in use, not on the size: `local_` and `global_` name
// the slots to visit, and those that MOV CR3 keeps need not be looked at.
//
// SMAP: both supervisor views share a table, as nearly all they meet are supervisor pages. A user page that
// EFLAGS.AC let in (kAcOnly) must be out again before generated code runs with AC clear: `close_ac`.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "mmu/paging_controls.h"
#include "mmu/slot_set.h"
#include "x86/paging.h"

namespace eidolon::mmu {

struct TlbEntry {
  uint64_t read_tag;
  uint64_t write_tag;
  uint64_t host;      ///< host address of the page
  uint64_t physical;  ///< guest-physical page | flags
  static constexpr uint64_t kGlobal = 1;
  static constexpr uint64_t kLarge = 2;   ///< a piece of a 2 or 4 MiB page
  static constexpr uint64_t kHuge = 4;    ///< a piece of a 1 GiB page
  static constexpr uint64_t kAcOnly = 8;  ///< for View::kSupervisorAc only
};
static_assert(sizeof(TlbEntry) == 32);

/// What `insert` is told besides the page.
struct TlbRights {
  bool writable = false;  ///< a store needs nothing else
  bool global = false;
  bool ac_only = false;  ///< a user page that SMAP keeps from View::kSupervisor
};

class VirtualTlb {
 public:
  static constexpr unsigned kEntriesLog2 = 14;
  static constexpr unsigned kEntries = 1u << kEntriesLog2;
  static constexpr unsigned kTables = 2;

  VirtualTlb();

  [[nodiscard]] static constexpr unsigned slot(uint64_t linear) {
    return linear >> x86::kPageShift & (kEntries - 1);
  }
  [[nodiscard]] static constexpr uint64_t empty_tag(unsigned slot) {
    return uint64_t{slot ^ 1} << x86::kPageShift;
  }

  /// Host address of [linear, linear + size) if the table can answer, else nullptr. `size` is 1 to 4096.
  [[nodiscard]] uint8_t* lookup(uint64_t linear, unsigned size, bool write, View view) const {
    const TlbEntry& entry = tables_[index(view)][slot(linear)];
    const uint64_t offset = linear ^ (write ? entry.write_tag : entry.read_tag);
    if (offset > x86::kPageSize - size) return nullptr;
    if (view == View::kSupervisor && (entry.physical & TlbEntry::kAcOnly) != 0) return nullptr;
    return reinterpret_cast<uint8_t*>(entry.host + offset);  // SAFETY: host is a page of mapped guest memory
  }

  void insert(uint64_t linear, View view, uint8_t* host_page, uint64_t physical_page, TlbRights rights,
              uint64_t page_size = x86::kPageSize);
  void flush_all();
  void flush_non_global();
  /// Drops the page of `linear`; if it is a piece of a large page, all pieces (SDM volume 3, 4.10.4.1).
  void flush_page(uint64_t linear);
  /// Takes the write permission from every entry of the page: it now has translations.
  void protect_physical(uint64_t physical_page);
  /// Drops what only View::kSupervisorAc may use.
  void close_ac() {
    if (ac_only_count_ != 0) [[unlikely]]
      drop_ac_only();
  }

  /// An entry taken out, and where it goes back to.
  struct Saved {
    uint32_t where;
    TlbEntry entry;
  };
  /// flush_non_global, but up to `room.size()` of the entries can be put back: how many.
  [[nodiscard]] unsigned save_non_global(std::span<Saved> room);
  void restore(const Saved& saved, bool writable);

  [[nodiscard]] const TlbEntry* table(View view) const { return tables_[index(view)].data(); }

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
  using Slots = SlotSet<kEntries>;

  [[nodiscard]] static constexpr unsigned index(View view) { return view == View::kUser ? 0 : 1; }
  void clear(unsigned table, unsigned slot);
  template <typename Visitor>
  void for_each_used(Visitor visit);
  template <typename Filter>
  void flush_pieces(Filter& filter, uint64_t linear);
  void drop_ac_only();

  alignas(64) std::array<std::array<TlbEntry, kEntries>, kTables> tables_;
  std::array<Slots, kTables> local_{};   ///< slots with entries that are not global
  std::array<Slots, kTables> global_{};  ///< slots with entries that are
  static constexpr unsigned kAcOnlyMost = 32;
  unsigned ac_only_count_ = 0;  ///< kAcOnlyMost: there may be more than the list holds
  std::array<uint16_t, kAcOnlyMost> ac_only_{};
  PieceFilter<22, TlbEntry::kLarge> large_;
  PieceFilter<30, TlbEntry::kHuge> huge_;
};

}  // namespace eidolon::mmu
