// The processor as boot protocols want it: flat segments, paging off or an identity map, interrupts off.
#pragma once

#include "base/result.h"
#include "cpu/state.h"
#include "memory/guest_memory.h"

namespace eidolon::boot {

// Selectors of the GDT that enter_* puts at kGdt. They are those that Linux asks for.
inline constexpr uint16_t kBootCs = 0x10;
inline constexpr uint16_t kBootDs = 0x18;

/// 32-bit protected mode without paging. General registers are zero.
[[nodiscard]] Result<> enter_flat32(memory::GuestMemory& memory, cpu::State& state, uint64_t rip);
/// 64-bit mode on an identity map of the first 4 GiB. General registers are zero.
[[nodiscard]] Result<> enter_flat64(memory::GuestMemory& memory, cpu::State& state, uint64_t rip);

}  // namespace eidolon::boot
