#include "mmu/reference_walk.h"

#include <array>
#include <span>
#include <vector>

namespace eidolon::mmu::reference {

namespace {

enum Mode { kLegacy = 1, kPae = 2, kLong = 4 };

struct BitRange {
  int high = -1, low = 0;
};

/// SDM volume 3, tables 4-4 to 4-6, 4-8 to 4-11 and 4-14 to 4-19, with MAXPHYADDR 40.
struct Row {
  int modes;
  int level;
  int page_bits;                    ///< 0: refers to a table
  std::array<BitRange, 3> address;  ///< where in the entry, ...
  std::array<int, 3> address_to;    ///< ... and to which bit of the address
  std::array<BitRange, 3> reserved;
};
const Row kRows[] = {
    {kLegacy, 2, 0, {{{31, 12}}}, {12}, {}},
    {kLegacy, 2, 22, {{{31, 22}, {20, 13}}}, {22, 32}, {{{21, 21}}}},
    {kLegacy, 1, 12, {{{31, 12}}}, {12}, {}},
    {kPae, 2, 0, {{{39, 12}}}, {12}, {{{62, 40}}}},
    {kPae, 2, 21, {{{39, 21}}}, {21}, {{{62, 40}, {20, 13}}}},
    {kPae, 1, 12, {{{39, 12}}}, {12}, {{{62, 40}}}},
    {kLong, 4, 0, {{{39, 12}}}, {12}, {{{51, 40}, {7, 7}}}},
    {kLong, 3, 0, {{{39, 12}}}, {12}, {{{51, 40}}}},
    {kLong, 3, 30, {{{39, 30}}}, {30}, {{{51, 40}, {29, 13}}}},
    {kLong, 2, 0, {{{39, 12}}}, {12}, {{{51, 40}}}},
    {kLong, 2, 21, {{{39, 21}}}, {21}, {{{51, 40}, {20, 13}}}},
    {kLong, 1, 12, {{{39, 12}}}, {12}, {{{51, 40}}}},
};

uint64_t cut(uint64_t value, BitRange range) {
  uint64_t result = 0;
  for (int i = range.low; i <= range.high; ++i) result |= (value >> i & 1) << (i - range.low);
  return result;
}

const Row& row_for(Mode mode, int level, bool page_size_bit) {
  const Row* table = nullptr;
  const Row* page = nullptr;
  for (const Row& row : kRows)
    if ((row.modes & mode) != 0 && row.level == level) (row.page_bits == 0 ? table : page) = &row;
  if (table == nullptr) return *page;
  return page != nullptr && page_size_bit ? *page : *table;
}

struct Used {
  uint64_t address;
  uint64_t entry;
};

}  // namespace

Answer walk(memory::GuestMemory& memory, const PagingControls& controls, uint64_t linear, Access access,
            View view) {
  const bool smap = controls.cr4 >> 21 & 1, smep = controls.cr4 >> 20 & 1, wp = controls.cr0 >> 16 & 1;
  const bool nxe = controls.efer >> 11 & 1, pae = controls.cr4 >> 5 & 1, pse = controls.cr4 >> 4 & 1;
  const Mode mode = controls.efer >> 10 & 1 ? kLong : pae ? kPae : kLegacy;

  Answer answer;
  const auto fault = [&](bool present, bool reserved) {
    answer.error = (present ? 1u : 0u) + (access == Access::kWrite ? 2u : 0u) +
                   (view == View::kUser ? 4u : 0u) + (reserved ? 8u : 0u) +
                   (access == Access::kExecute && (smep || (pae && nxe)) ? 16u : 0u);
    return answer;
  };

  uint64_t table = controls.cr3;
  int level = mode == kLong ? 4 : 2;
  if (mode == kPae) {
    table = controls.pdpte[cut(linear, {31, 30})];
    if (table % 2 == 0) return fault(false, false);
  }
  table = cut(table, {mode == kLegacy ? 31 : 45, 12}) << 12;

  std::vector<Used> path;
  bool all_user = true, all_writable = true, any_xd = false;
  for (;; --level) {
    const unsigned width = mode == kLegacy ? 4 : 8;
    const int index_bits = mode == kLegacy ? 10 : 9;
    const int low = 12 + index_bits * (level - 1);
    const uint64_t address = table + width * cut(linear, {low + index_bits - 1, low});
    uint64_t entry = ~0ull;
    if (!memory.read(address, &entry, width)) entry = ~0ull;
    if (mode == kLegacy) entry = cut(entry, {31, 0});
    if (entry % 2 == 0) return fault(false, false);
    path.push_back({address, entry});

    const bool page_size_bit = cut(entry, {7, 7}) != 0 && (mode != kLegacy || pse);
    const Row& row = row_for(mode, level, page_size_bit);
    bool reserved = mode != kLegacy && !nxe && entry >> 63 != 0;
    for (const BitRange range : row.reserved) reserved |= cut(entry, range) != 0;
    if (reserved) return fault(true, true);

    all_writable &= cut(entry, {1, 1}) != 0;
    all_user &= cut(entry, {2, 2}) != 0;
    any_xd |= mode != kLegacy && entry >> 63 != 0;
    uint64_t base = 0;
    for (size_t i = 0; i < row.address.size(); ++i) base |= cut(entry, row.address[i]) << row.address_to[i];
    if (row.page_bits == 0) {
      table = base;
      continue;
    }
    answer.physical = base + cut(linear, {row.page_bits - 1, 0});
    answer.page_size = 1ull << row.page_bits;
    answer.global = cut(entry, {8, 8}) != 0 && (controls.cr4 >> 7 & 1) != 0;
    break;
  }

  // 4.6.1, list by list.
  if (view == View::kUser) {
    answer.readable = all_user;
    answer.writable = all_user && all_writable;
    answer.executable = all_user && !any_xd;
  } else if (all_user) {
    answer.readable = !smap || view == View::kSupervisorAc;
    answer.writable = answer.readable && (!wp || all_writable);
    answer.executable = !smep && !any_xd;
  } else {
    answer.readable = true;
    answer.writable = !wp || all_writable;
    answer.executable = !any_xd;
  }
  const bool allowed = access == Access::kRead    ? answer.readable
                       : access == Access::kWrite ? answer.writable
                                                  : answer.executable;
  if (!allowed) return fault(true, false);

  for (const Used& used : path) {
    const bool leaf = &used == &path.back();
    const uint64_t entry = used.entry | 0x20 | (leaf && access == Access::kWrite ? 0x40 : 0);
    (void)memory.write(used.address, &entry, mode == kLegacy ? 4 : 8);
    if (leaf) answer.dirty = cut(entry, {6, 6}) != 0;
  }
  answer.mapped = true;
  return answer;
}

}  // namespace eidolon::mmu::reference
