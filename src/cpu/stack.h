// Pushes and pops on the current stack, with its address size, segment checks and wrap-around.
#pragma once

#include <cstdint>

#include "cpu/segmentation.h"

namespace eidolon::cpu {

/// A stack pointer in progress: pushes and pops move a copy of RSP, and `commit` writes it back, so that a
/// fault half-way leaves the processor as it was. Accesses are explicit ones of the current CPL.
class Stack {
 public:
  explicit Stack(Cpu& cpu);
  /// A stack that is not loaded yet: the one of an inner level, or of a handler. `error` is that of the #SS
  /// which an access outside of it raises.
  struct Other {
    SegmentRegister segment;
    uint64_t pointer;
    bool long_code;  ///< it will be used in 64-bit mode
    mmu::View view;
    uint32_t error;
  };
  Stack(Cpu& cpu, const Other& other);

  /// `size` is 2, 4 or 8 bytes.
  [[nodiscard]] Outcome<> push(uint64_t value, unsigned size);
  [[nodiscard]] Outcome<uint64_t> pop(unsigned size);
  /// What lies `distance` bytes above the top (parameters of a call gate).
  [[nodiscard]] Outcome<uint64_t> peek(uint64_t distance, unsigned size);
  /// In 64-bit mode, if plain host accesses will do: where the `bytes` below the top are, to be written and
  /// then covered by moving there, and where those above it are, to be read.
  [[nodiscard]] uint8_t* room_below(unsigned bytes) const { return plain(pointer_ - bytes, bytes, true); }
  [[nodiscard]] const uint8_t* plain_above(unsigned bytes) const { return plain(pointer_, bytes, false); }
  void cover(unsigned bytes) { pointer_ -= bytes; }
  /// Moves past `bytes` without access (RET n).
  void skip(uint64_t bytes);
  [[nodiscard]] uint64_t pointer() const { return pointer_; }
  /// Writes the pointer to RSP, in the width of the stack.
  void commit();

 private:
  [[nodiscard]] uint8_t* plain(uint64_t linear, unsigned bytes, bool write) const {
    if (!check_.long_code || !is_canonical(linear)) return nullptr;
    return cpu_.mmu.tlb().lookup(linear, bytes, write, view_);
  }
  [[nodiscard]] Outcome<uint64_t> address(uint64_t offset, unsigned size, mmu::Access access) const;

  Cpu& cpu_;
  SegmentRegister segment_;
  SegmentCheck check_;
  mmu::View view_;
  uint64_t mask_;
  uint64_t pointer_;
};

/// Writes `pointer` to RSP as a stack of width `mask` does: 16-bit stacks keep the upper bits.
void set_stack_pointer(State& state, uint64_t pointer, uint64_t mask);

}  // namespace eidolon::cpu
