// Address spaces under their PCIDs (SDM volume 3, 4.10.1), as numbers that are given out once: what was
// cached under a number holds as long as the number is in use, and flushing is taking another.
#pragma once

#include <array>
#include <cstdint>

namespace eidolon::mmu {

class Contexts {
 public:
  struct Context {
    uint64_t translations;  ///< tags translations that are not global
    uint64_t structures;    ///< tags page tables: renewed by INVLPG too (SDM volume 3, 4.10.4.1)
  };

  [[nodiscard]] const Context& current() const { return current_; }
  [[nodiscard]] uint64_t global() const { return global_; }

  void renew() { current_ = fresh(); }
  void renew_structures() { current_.structures = next_++; }
  void renew_all() {
    forget_others();
    renew();
    global_ = next_++;
  }
  /// Goes from the address space with PCID `from` to that with `to`: on with what it had when it was last
  /// left, if that is known and `keep`.
  void change(uint16_t from, uint16_t to, bool keep) {
    forget(from);
    kept_[turn_++ % kKept] = {from, current_};
    current_ = fresh();
    for (Kept& candidate : kept_)
      if (candidate.pcid == to) {
        if (keep) current_ = candidate.context;
        candidate.pcid = kNoPcid;
      }
  }
  /// An address space that is not the current one.
  void forget(uint16_t pcid) {
    for (Kept& candidate : kept_)
      if (candidate.pcid == pcid) candidate.pcid = kNoPcid;
  }
  void forget_others() {
    for (Kept& candidate : kept_) candidate.pcid = kNoPcid;
  }

 private:
  static constexpr unsigned kKept = 16;
  static constexpr uint16_t kNoPcid = 0xffff;
  struct Kept {
    uint16_t pcid = kNoPcid;
    Context context{};
  };

  [[nodiscard]] Context fresh() { return {next_++, next_++}; }

  uint64_t next_ = 1;
  uint64_t global_ = next_++;
  Context current_ = fresh();
  std::array<Kept, kKept> kept_{};
  unsigned turn_ = 0;
};

}  // namespace eidolon::mmu
