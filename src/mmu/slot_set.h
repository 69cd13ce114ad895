// A set of slots of a table, made to be emptied by what is in it and not by the size of the table: a bit per
// slot, a bit per word of those, and a bit per word of these. All zero is the empty set.
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
    set(words_, slot);
    set(summary_, slot / 64);
    set(top_, slot / (64 * 64));
  }
  void remove(unsigned slot) { clear(words_, slot); }
  [[nodiscard]] bool has(unsigned slot) const { return words_[slot / 64] >> slot % 64 & 1; }

  /// Calls visit(slot) for every member; it may remove the slot that it is called for.
  template <typename Visitor>
  void for_each(Visitor visit) {
    for_each_bit(top_, [&](unsigned group) {
      for_each_bit_of(summary_[group], group, [&](unsigned word) {
        for_each_bit_of(words_[word], word, visit);
        if (words_[word] == 0) clear(summary_, word);
      });
      if (summary_[group] == 0) clear(top_, group);
    });
  }

 private:
  static constexpr unsigned kGroups = kSlots / (64 * 64);

  template <typename Words>
  static void set(Words& words, unsigned bit) {
    words[bit / 64] |= uint64_t{1} << bit % 64;
  }
  template <typename Words>
  static void clear(Words& words, unsigned bit) {
    words[bit / 64] &= ~(uint64_t{1} << bit % 64);
  }
  template <typename Visitor>
  static void for_each_bit_of(uint64_t word, unsigned index, Visitor visit) {
    for (; word != 0; word &= word - 1) visit(index * 64 + static_cast<unsigned>(std::countr_zero(word)));
  }
  template <typename Words, typename Visitor>
  static void for_each_bit(const Words& words, Visitor visit) {
    for (unsigned i = 0; i < words.size(); ++i) for_each_bit_of(words[i], i, visit);
  }

  std::array<uint64_t, kSlots / 64> words_;
  std::array<uint64_t, kGroups> summary_;          ///< words that may have members
  std::array<uint64_t, (kGroups + 63) / 64> top_;  ///< words of the summary that may have members
};

}  // namespace eidolon::mmu
