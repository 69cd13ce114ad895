// Segmentation: logical to linear addresses with their checks, and loads of segment registers
// (SDM volume 3, chapters 3 and 5; volume 2, MOV and LLDT/LTR).
#pragma once

#include <cstdint>

#include "cpu/cpu.h"
#include "isa/instruction.h"

namespace eidolon::cpu {

/// Linear address of [offset, offset + size) in `segment`, after every check that the access makes there:
/// usable, type, limit (expand-down too), canonical form in 64-bit mode. #GP(0), or #SS(0) for SS. `offset`
/// has been truncated to the address size by the caller.
[[nodiscard]] Outcome<uint64_t> linear_address(const Cpu& cpu, x86::Segment segment, uint64_t offset,
                                               unsigned size, mmu::Access access);

/// The two words of a descriptor in the GDT or LDT. #GP(selector) (or `vector` with it) beyond the limit.
[[nodiscard]] Outcome<x86::Descriptor> read_descriptor(Cpu& cpu, uint16_t selector,
                                                       x86::Vector vector = x86::kGeneralProtection);

/// MOV/POP to ES, SS, DS, FS, GS, LxS: in every mode. (CS is loaded by far transfers only.) Leaves the
/// interrupt shadow of SS to the caller.
[[nodiscard]] Outcome<> load_segment(Cpu& cpu, x86::Segment segment, uint16_t selector);
[[nodiscard]] Outcome<> load_ldtr(Cpu& cpu, uint16_t selector);
[[nodiscard]] Outcome<> load_tr(Cpu& cpu, uint16_t selector);

/// Real or virtual-8086 meaning of a selector: base = selector << 4; limit and attributes as the mode has
/// them.
void load_real_segment(State& state, x86::Segment segment, uint16_t selector);

/// Stack address size of the current mode as a mask for RSP: 64, 32 or 16 bits.
[[nodiscard]] uint64_t stack_mask(const State& state);

/// The code size that the current CS gives.
[[nodiscard]] isa::CodeSize code_size(const State& state);

}  // namespace eidolon::cpu
