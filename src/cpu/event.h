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

/// INT n, INT3, INTO, INT1 with State::rip already past the instruction: gate DPL is checked against CPL (not
/// for INT1). Returns the fault instead of delivering it.
[[nodiscard]] Outcome<> software_interrupt(Cpu& cpu, uint8_t vector, bool check_dpl);

}  // namespace eidolon::cpu
