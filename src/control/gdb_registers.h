// A processor's registers as GDB numbers them. Whatever mode the guest is in, they are those of 64-bit mode.
// Names, order and types: GDB manual, appendix G.5.9 "i386 Features"; the control registers are a feature of
// ours.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "cpu/state.h"

namespace eidolon::control {

/// They have the numbers from 0 on.
[[nodiscard]] size_t gdb_registers();
/// Its bytes, as on the wire; nothing: there is none of the number.
[[nodiscard]] std::optional<std::string> read_gdb_register(const cpu::State& state, size_t number);
/// False, and nothing changed: there is no such register, it is of another size, or the processor would not
/// take the value. Segment and control registers keep what they have: what follows from them is not GDB's to
/// see.
[[nodiscard]] bool write_gdb_register(cpu::State& state, size_t number, std::string_view bytes);
/// All of them, one after the other.
[[nodiscard]] std::string read_gdb_registers(const cpu::State& state);
/// False, and nothing changed, if any of them cannot be written.
[[nodiscard]] bool write_gdb_registers(cpu::State& state, std::string_view bytes);
/// target.xml: the description of the registers (GDB manual, appendix G).
[[nodiscard]] const std::string& gdb_target_description();

}  // namespace eidolon::control
