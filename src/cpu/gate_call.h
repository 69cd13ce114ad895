// JMP and CALL through call gates of 16, 32 and 64 bits (SDM volume 3, 5.8.3 to 5.8.5).
#pragma once

#include <cstdint>

#include "cpu/segmentation.h"

namespace eidolon::cpu {

/// `selector` names the gate, whose descriptor the caller has read. DPL and presence are checked here.
[[nodiscard]] Outcome<> jump_through_gate(Cpu& cpu, uint16_t selector, const SystemDescriptor& descriptor);
[[nodiscard]] Outcome<> call_through_gate(Cpu& cpu, uint16_t selector, const SystemDescriptor& descriptor,
                                          uint64_t next_rip);

/// What a gate or TSS demands of CPL and RPL, and that it be present: #GP(selector), #NP(selector).
[[nodiscard]] Outcome<> check_gate(const State& state, uint16_t selector, x86::Descriptor descriptor);

}  // namespace eidolon::cpu
