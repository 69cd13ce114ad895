// The stacks that the TSS holds for inner privilege levels and for interrupts (SDM volume 3, 7.2.1, 7.7 and
// 6.14.5).
#pragma once

#include <cstdint>

#include "cpu/stack.h"

namespace eidolon::cpu {

struct InnerStack {
  SegmentRegister segment;
  uint64_t pointer;
};

/// The stack of privilege level `level` (0 to 2), with every check of its segment: #TS, #SS(selector). In
/// IA-32e mode its segment is null. Sets the accessed bit.
[[nodiscard]] Outcome<InnerStack> inner_stack(Cpu& cpu, unsigned level);
/// IST entry `index` (1 to 7) of the 64-bit TSS.
[[nodiscard]] Outcome<uint64_t> interrupt_stack(Cpu& cpu, unsigned index);

/// A new inner stack as the pushes to it see it. Outside IA-32e mode a push beyond it raises #SS(selector).
[[nodiscard]] Stack::Other as_other(const InnerStack& stack, bool long_mode);

}  // namespace eidolon::cpu
