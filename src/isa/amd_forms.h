// Encodings that AMD's processors take for something else than Intel's do, or for nothing: what the decoder
// makes of them for a guest that is shown an AMD processor.
#pragma once

#include "isa/instruction.h"

namespace eidolon::isa::amd {

/// #UD on AMD: the register forms of the prefetch group 0F 0D (APM volume 3, PREFETCHlevel), and outside
/// 64-bit mode VPEXTRD and VPINSRD with VEX.W set, which Intel ignores there (APM volume 4, VPEXTRD,
/// VPINSRD). Also CLZERO with a repeat prefix, of which the manual is silent (seen on family 1Ah).
[[nodiscard]] bool is_undefined(const ZydisDecodedInstruction& instruction);

/// PAUSE with REX.B, which is XCHG r8, rAX on AMD: the F3 counts for nothing (APM volume 3, NOP, PAUSE).
[[nodiscard]] bool is_exchange(const ZydisDecodedInstruction& instruction);

/// LOOPE and LOOPNE with a repeat prefix, which no manual gives a meaning: AMD's take their condition from
/// the prefix as repeated comparisons do, F3 for equal and F2 for not equal. The mnemonic as it is meant.
[[nodiscard]] ZydisMnemonic loop_meant(const ZydisDecodedInstruction& instruction);

/// A near branch of 64-bit code that an operand-size prefix makes 16 bits wide, where Intel's processors
/// ignore it (APM volume 3, 1.2.2 and the branches). The decoder library, told of AMD's branches, takes the
/// right displacement but gives many the width of 64 bits.
[[nodiscard]] bool is_narrow_branch(const Instruction& instruction);

}  // namespace eidolon::isa::amd
