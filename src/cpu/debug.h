// Debug registers and single stepping (SDM volume 3, chapter 17).
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/cpu.h"

namespace eidolon::cpu {

inline constexpr uint64_t kDr6BreakpointMask = 0xf;
inline constexpr uint64_t kDr6DebugAccess = 1u << 13;  ///< BD
inline constexpr uint64_t kDr6SingleStep = 1u << 14;   ///< BS
inline constexpr uint64_t kDr7GeneralDetect = 1u << 13;

/// Where the next instruction is: what breakpoints are compared with.
[[nodiscard]] inline uint64_t linear_rip(const State& state) {
  return state.long_code() ? state.rip : (state.segment[x86::kCs].base + state.rip) & 0xffffffff;
}
/// Whether any breakpoint is enabled in DR7: only then do engines ask the questions below.
[[nodiscard]] bool breakpoints_enabled(const State& state);
/// The #DB fault of an instruction breakpoint at `linear`, unless RF (or a MOV SS shadow) holds it back.
[[nodiscard]] std::optional<Fault> instruction_breakpoint(const State& state, uint64_t linear);
/// Notes in State::pending_debug the data breakpoints that an access hits.
void note_data_access(State& state, uint64_t linear, unsigned size, bool write);
/// The same for an access to ports (breakpoints of type I/O need CR4.DE).
void note_port_access(State& state, uint16_t port, unsigned size);
/// The trap due after an instruction that began with `tf_before`: single step and noted data breakpoints.
/// Clears them, merging into DR6 is deliver_fault's work (Fault::address holds the bits).
[[nodiscard]] std::optional<Fault> debug_trap(State& state, bool tf_before);

/// MOV to and from DR0 to DR7, after every check but that of the value: #GP(0) for a value with upper bits in
/// DR6 or DR7. 4 and 5 are 6 and 7.
[[nodiscard]] uint64_t read_debug_register(const State& state, unsigned number);
[[nodiscard]] Outcome<> write_debug_register(State& state, unsigned number, uint64_t value);
/// The #DB of a debug register access while DR7.GD is set.
[[nodiscard]] Fault general_detect_fault();

}  // namespace eidolon::cpu
