// What an instruction reads and writes, for the allocation of scratch registers and the elision of
// flag saves: live_before = read | (live_after & ~killed), for registers and flags alike.
// Read and written are never too small, killed is never too large.
#pragma once

#include <cstdint>

#include "isa/instruction.h"

namespace eidolon::isa {

/// CF PF AF ZF SF DF OF at their RFLAGS positions: the flags that liveness is about.
inline constexpr uint32_t kLiveFlags = 0x0cd5;

struct RegisterUse {
  // Bit n is register n: 0 rax, 1 rcx, 2 rdx, 3 rbx, 4 rsp, 5 rbp, 6 rsi, 7 rdi, 8..15 r8..r15.
  uint16_t gpr_read = 0;     ///< any part, address registers included
  uint16_t gpr_written = 0;  ///< any part, perhaps conditionally
  uint16_t gpr_killed = 0;   ///< the old value is gone: an unconditional 32- or 64-bit write, and not read
  uint32_t flags_read = 0;
  uint32_t flags_written = 0;        ///< undefined ones included
  uint32_t flags_killed = 0;         ///< written whatever the operands are, and not read
  bool uses_high_byte = false;       ///< an explicit ah, ch, dh or bh: no REX prefix can be added
  bool touches_simd_or_x87 = false;  ///< x87, MMX, SSE, AVX or AVX-512 registers, control or status
};

/// Needs decoded operands. What a sensitive instruction does beyond its operands (iret, cpuid's
/// semantics in the monitor …) is not covered: everything is live where the translated code leaves to the
/// monitor.
[[nodiscard]] RegisterUse register_use(const Instruction& instruction);

/// The general register (0..15) that `reg` is a part of, or -1 for any other register.
[[nodiscard]] int gpr_index(ZydisRegister reg);

}  // namespace eidolon::isa
