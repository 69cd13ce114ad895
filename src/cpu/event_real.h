// Interrupts through the vector table of real-address mode, which virtual-8086 mode extensions use too
// (SDM volume 3, 20.1.4 and 20.3.3).
#pragma once

#include <cstdint>

#include "cpu/cpu.h"

namespace eidolon::cpu {

/// Real-address mode: pushes FLAGS, CS and IP, and enters CS:IP of the table at IDTR.
[[nodiscard]] Outcome<> enter_through_ivt(Cpu& cpu, uint8_t vector);

/// Whether CR4.VME and the bitmap below the I/O permission map hand INT `vector` of virtual-8086 mode to the
/// program's own table. #GP(0) if the TSS is too short for the bitmap.
[[nodiscard]] Outcome<bool> is_redirected(Cpu& cpu, uint8_t vector);
/// Enters the handler in the table at linear address 0, within virtual-8086 mode.
[[nodiscard]] Outcome<> enter_redirected(Cpu& cpu, uint8_t vector);

}  // namespace eidolon::cpu
