// Which pages of guest memory were written since they were last asked for: for whoever copies memory while
// the machine runs. Pages go by their number in GuestMemory::bytes(), whatever the guest sees where.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <vector>

namespace eidolon::memory {

class DirtyPages {
 public:
  explicit DirtyPages(uint64_t pages) : words_((pages + 63) / 64) {}

  /// From any thread, after the page was written or while nobody takes.
  void mark(uint64_t page) {
    // A locked operation each time: bytes that were stored before are visible to who takes the mark.
    words_[page / 64].fetch_or(uint64_t{1} << page % 64);
  }
  /// Calls visit(page) for each that was marked, in order; they are marked no more. From one thread at a
  /// time.
  template <typename Visitor>
  void take(const Visitor& visit) {
    for (uint64_t at = 0; at < words_.size(); ++at) {
      if (words_[at].load(std::memory_order_relaxed) == 0) continue;
      for (uint64_t word = words_[at].exchange(0); word != 0; word &= word - 1)
        visit(at * 64 + static_cast<unsigned>(std::countr_zero(word)));
    }
  }

 private:
  std::vector<std::atomic<uint64_t>> words_;
};

}  // namespace eidolon::memory
