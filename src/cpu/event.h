// Delivery of exceptions and interrupts through the IVT and the IDT (SDM volume 3, chapter 6).
#pragma once

#include <cstdint>

#include "cpu/cpu.h"

namespace eidolon::cpu {

/// Delivers `fault` to the guest: pushes state, enters the handler; a fault on the way becomes a double fault
/// and then a shutdown (Activity::kShutdown, returned as false). RIP to push is State::rip, which is the
/// faulting instruction's (or, for traps, the next one's).
bool deliver_fault(Cpu& cpu, const Fault& fault);

/// An external interrupt or NMI. Clears the halt.
bool deliver_interrupt(Cpu& cpu, uint8_t vector);

/// Which instruction asks for a software interrupt: INT n alone is sensitive to IOPL in virtual-8086 mode,
/// and INT1 is not checked against the DPL of the gate.
enum class InterruptInstruction : uint8_t { kIntN, kInt3, kInto, kInt1 };

/// INT n, INT3, INTO, INT1 with State::rip already past the instruction: gate DPL is checked against CPL (not
/// for INT1). Returns the fault instead of delivering it: the caller takes State::rip back to the instruction
/// and delivers, unless Fault::trap says that the fault arose in a new task, whose RIP State::rip then is.
[[nodiscard]] Outcome<> software_interrupt(Cpu& cpu, uint8_t vector, InterruptInstruction instruction);
/// The same for who does not tell INT3 from INT 3.
[[nodiscard]] inline Outcome<> software_interrupt(Cpu& cpu, uint8_t vector, bool check_dpl) {
  if (!check_dpl) return software_interrupt(cpu, vector, InterruptInstruction::kInt1);
  if (vector == x86::kBreakpoint) return software_interrupt(cpu, vector, InterruptInstruction::kInt3);
  if (vector == x86::kOverflow) return software_interrupt(cpu, vector, InterruptInstruction::kInto);
  return software_interrupt(cpu, vector, InterruptInstruction::kIntN);
}

}  // namespace eidolon::cpu
