// A set of slots of a table, made to be emptied by what is in it and not by the size of the table: a bit per
// slot, and a bit per word of those.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace eidolon::mmu {

template <unsigned kSlots>
class SlotSet {
 public:
  static_assert(kSlots % (64 * 64) == 0);

  void add(unsigned slot) {
    words_[slot / 64] |= uint64_t{1} << slot % 64;
    summary_[slot / (64 * 64)] |= uint64_t{1} << slot / 64 % 64;
  }
  void remove(unsigned slot) { words_[slot / 64] &= ~(uint64_t{1} << slot % 64); }
  [[nodiscard]] bool has(unsigned slot) const { return words_[slot / 64] >> slot % 64 & 1; }

  /// Calls visit(slot) for every member; it may remove the slot that it is called for.
  template <typename Visitor>
  void for_each(Visitor visit) {
    for (unsigned group = 0; group < kSlots / (64 * 64); ++group)
      for (uint64_t left = summary_[group]; left != 0; left &= left - 1) {
        const auto bit = static_cast<unsigned>(std::countr_zero(left));
        const unsigned word = group * 64 + bit;
        for (uint64_t members = words_[word]; members != 0; members &= members - 1)
          visit(word * 64 + static_cast<unsigned>(std::countr_zero(members)));
        if (words_[word] == 0) summary_[group] &= ~(uint64_t{1} << bit);
      }
  }

 private:
  std::array<uint64_t, kSlots / 64> words_{};
  std::array<uint64_t, kSlots / (64 * 64)> summary_{};  ///< words that may have members
};

}  // namespace eidolon::mmu
