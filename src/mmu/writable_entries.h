// Where the virtual TLB's entries are that let a physical page be written: what has to be looked at when the
// page gets translations. A bucket for each hash of a page names up to kWays of them. It may name entries
// that have become others since, but it misses none; a bucket that would have to, says that it is full.
#pragma once

#include <array>
#include <cstdint>

#include "x86/paging.h"

namespace eidolon::mmu {

class WritableEntries {
 public:
  /// Notes the entry at `where` for the page. `still_there(other)` says whether another entry is writable and
  /// of a page of the same bucket.
  template <typename StillThere>
  void add(uint64_t physical_page, uint32_t where, StillThere still_there) {
    Bucket& bucket = buckets_[index(physical_page)];
    uint32_t* room = nullptr;
    for (uint32_t& way : bucket.ways) {
      if (way == where + 1) return;
      if (way == 0 || (room == nullptr && !still_there(way - 1))) room = &way;
    }
    if (room == nullptr)
      bucket.full = true;
    else
      *room = where + 1;
  }
  /// Calls visit(where) for what may be an entry of the page. False if all entries have to be looked at.
  template <typename Visitor>
  [[nodiscard]] bool visit(uint64_t physical_page, Visitor visit) const {
    const Bucket& bucket = buckets_[index(physical_page)];
    if (bucket.full) return false;
    for (const uint32_t way : bucket.ways)
      if (way != 0) visit(way - 1);
    return true;
  }
  /// Forgets the bucket of the page, before all its entries are noted anew.
  void empty(uint64_t physical_page) { buckets_[index(physical_page)] = {}; }
  [[nodiscard]] static constexpr bool same_bucket(uint64_t a, uint64_t b) { return index(a) == index(b); }

 private:
  static constexpr unsigned kBucketsLog2 = 14;
  static constexpr unsigned kWays = 4;
  struct Bucket {
    std::array<uint32_t, kWays> ways{};  ///< 0: none, else where + 1
    bool full = false;
  };
  [[nodiscard]] static constexpr unsigned index(uint64_t physical) {
    return static_cast<unsigned>((physical >> x86::kPageShift) * 0x9e3779b97f4a7c15u >> (64 - kBucketsLog2));
  }
  std::array<Bucket, 1u << kBucketsLog2> buckets_{};
};

}  // namespace eidolon::mmu
