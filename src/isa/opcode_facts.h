// The few opcode facts that byte rewriting needs and the decoder does not publish: which opcodes have an
// operand size, which name a byte register in ModRM.reg, where a VEX.W only widens a general register, and
// which immediates hold a register number. Sources: SDM volume 2, appendix A; AMD APM volume 3, appendix A.
#pragma once

#include <cstdint>

#include "isa/instruction.h"

namespace eidolon::isa {

/// Whether the 66 prefix selects between 16- and 32-bit operands, rather than being part of the opcode or
/// ignored. (Of the opcodes that rewriting handles; branches, stack and string operations are not among
/// them.)
[[nodiscard]] bool has_operand_size(const ZydisDecodedInstruction& instruction);

/// Whether ModRM.reg is one of ah, ch, dh, bh when no REX prefix is there, and spl .. dil when one is.
[[nodiscard]] bool names_high_byte_in_reg(const ZydisDecodedInstruction& instruction);

/// VEX, EVEX or XOP instructions in which W = 1 means a 64-bit general register or memory operand. Outside
/// 64-bit mode the processor ignores their W.
[[nodiscard]] bool w_is_operand_size(const ZydisDecodedInstruction& instruction);

/// The last byte's bits 7:4 are a vector register (/is4).
[[nodiscard]] bool has_register_immediate(const ZydisDecodedInstruction& instruction);

/// Not in 64-bit mode, under any other encoding either.
[[nodiscard]] bool is_gone_in_64bit_mode(ZydisMnemonic mnemonic);

}  // namespace eidolon::isa
