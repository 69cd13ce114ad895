// The fast system calls and SWAPGS (SDM volume 2, SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS; AMD APM
// volume 3 for SYSCALL outside 64-bit mode, which only AMD's processors have).
//
// Called with State::rip at the instruction; `next_rip` is the address after it. On success State::rip is
// the target; on a Fault nothing has changed. Non-canonical return addresses fault before the privilege level
// is left, as on Intel's processors.
#pragma once

#include <cstdint>

#include "cpu/cpu.h"

namespace eidolon::cpu {

/// The hidden part of the flat segments that they load, besides L and D of CS: nothing is read from a table.
inline constexpr uint32_t kFlatLimit = 0xffffffff;
[[nodiscard]] constexpr uint32_t flat_attributes(unsigned cpl) {
  return x86::kAttrPresent | x86::kAttrCodeOrData | x86::kAttrAccessed | x86::kAttrWritable |
         x86::kAttrGranular | cpl << x86::kAttrDplShift;
}

[[nodiscard]] Outcome<> syscall(Cpu& cpu, uint64_t next_rip);
/// `operand_size` is 8 with REX.W (return to 64-bit mode), else 4 (to compatibility mode).
[[nodiscard]] Outcome<> sysret(Cpu& cpu, unsigned operand_size);
[[nodiscard]] Outcome<> sysenter(Cpu& cpu);
/// `operand_size` as of sysret.
[[nodiscard]] Outcome<> sysexit(Cpu& cpu, unsigned operand_size);
/// Leaves State::rip to the caller.
[[nodiscard]] Outcome<> swapgs(Cpu& cpu);

}  // namespace eidolon::cpu
