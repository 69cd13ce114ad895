// Writes to the control registers, XCR0 and EFER, with every check and every effect on translation
// (SDM volume 3, 2.5, 2.6, 4.10.4 and 9.8.5; volume 2, MOV—Move to/from Control Registers).
#pragma once

#include <cstdint>

#include "cpu/cpu.h"

namespace eidolon::cpu {

// On a Fault (#GP) nothing has changed. Privilege is the caller's to check.
[[nodiscard]] Outcome<> write_cr0(Cpu& cpu, uint64_t value);
[[nodiscard]] Outcome<> write_cr3(Cpu& cpu, uint64_t value);
[[nodiscard]] Outcome<> write_cr4(Cpu& cpu, uint64_t value);
[[nodiscard]] Outcome<> write_xcr0(Cpu& cpu, uint64_t value);
[[nodiscard]] Outcome<> write_efer(Cpu& cpu, uint64_t value);

/// Whether `value` is one that XSETBV accepts on a processor with the components `supported`.
[[nodiscard]] bool valid_xcr0(uint64_t value, uint64_t supported);

}  // namespace eidolon::cpu
