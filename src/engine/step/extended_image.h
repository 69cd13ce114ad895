// The registers inside State::fpu, for the few instructions that are not run natively (SDM volume 1, 13.4).
// A component whose XSTATE_BV bit is clear is in its initial state, whatever its bytes are.
#pragma once

#include <array>
#include <cstdint>

#include <Zydis/Zydis.h>

#include "cpu/state.h"

namespace eidolon::engine::step {

using VectorBytes = std::array<uint8_t, 64>;

/// The whole ZMM register; bytes that the host does not have are zero.
[[nodiscard]] VectorBytes read_vector(const cpu::State& state, unsigned number);
void write_vector(cpu::State& state, unsigned number, const VectorBytes& value);
[[nodiscard]] uint64_t read_mask(const cpu::State& state, unsigned number);
void write_mask(cpu::State& state, unsigned number, uint64_t value);
/// MM0..MM7; reading one makes every x87 register valid and TOP 0, as each MMX instruction does.
[[nodiscard]] uint64_t read_mmx(cpu::State& state, unsigned number);

/// Number of an XMM, YMM or ZMM register.
[[nodiscard]] unsigned vector_number(ZydisRegister reg);

}  // namespace eidolon::engine::step
