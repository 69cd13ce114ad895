// Debug registers and single stepping (SDM volume 3, chapter 17).
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/cpu.h"

namespace eidolon::cpu {

/// Whether any breakpoint is enabled in DR7: only then do engines ask the questions below.
[[nodiscard]] bool breakpoints_enabled(const State& state);
/// The #DB fault of an instruction breakpoint at `linear`, unless RF (or a MOV SS shadow) holds it back.
[[nodiscard]] std::optional<Fault> instruction_breakpoint(const State& state, uint64_t linear);
/// Notes in State::pending_debug the data breakpoints that an access hits.
void note_data_access(State& state, uint64_t linear, unsigned size, bool write);
/// The trap due after an instruction that began with `tf_before`: single step and noted data breakpoints.
/// Clears them, merging into DR6 is deliver_fault's work (Fault::address holds the bits).
[[nodiscard]] std::optional<Fault> debug_trap(State& state, bool tf_before);

}  // namespace eidolon::cpu
