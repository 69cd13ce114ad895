// Pushes and pops on the current stack, with its address size, segment checks and wrap-around.
#pragma once

#include <cstdint>

#include "cpu/cpu.h"

namespace eidolon::cpu {

/// A stack pointer in progress: pushes and pops move a copy of RSP, and `commit` writes it back, so that a
/// fault half-way leaves the processor as it was. Accesses are explicit ones of the current CPL.
class Stack {
 public:
  explicit Stack(Cpu& cpu);
  /// `size` is 2, 4 or 8 bytes.
  [[nodiscard]] Outcome<> push(uint64_t value, unsigned size);
  [[nodiscard]] Outcome<uint64_t> pop(unsigned size);
  /// Moves past `bytes` without access (RET n).
  void skip(uint64_t bytes);
  [[nodiscard]] uint64_t pointer() const { return pointer_; }
  /// Writes the pointer to RSP, in the width of the stack.
  void commit();

 private:
  Cpu& cpu_;
  uint64_t mask_;
  uint64_t pointer_;
};

}  // namespace eidolon::cpu
