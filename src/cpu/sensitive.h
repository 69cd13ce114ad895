// The door to every sensitive instruction: engines decode, classify, and come here.
#pragma once

#include "cpu/cpu.h"
#include "isa/instruction.h"

namespace eidolon::cpu {

/// Executes one instruction of class kControlSensitive, kBehaviourSensitive or kState, whose first byte is at
/// State::rip. On success the state is that after it (RIP included; interrupt shadows, halts and the like
/// noted in the state). On a Fault the architectural state is that before it, except where the manual says
/// otherwise (task switches); nothing was delivered. Unknown or unoffered instructions raise #UD.
[[nodiscard]] Outcome<> execute_sensitive(Cpu& cpu, const isa::Instruction& instruction);

/// The offset part of the explicit memory operand (base + index * scale + displacement, truncated to the
/// address size), and its segment.
struct EffectiveAddress {
  x86::Segment segment;
  uint64_t offset;
};
[[nodiscard]] EffectiveAddress effective_address(const State& state, const isa::Instruction& instruction,
                                                 const ZydisDecodedOperand& operand);

}  // namespace eidolon::cpu
