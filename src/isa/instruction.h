// One decoded guest instruction, and the questions that need nothing but the instruction itself:
// which class it has, whether it names memory, and whether it really touches that memory.
// Register and opcode facts follow Intel SDM volume 2; the decoding is Zydis's.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>

namespace eidolon::isa {

/// The default operand and address size of a code segment: CS.D = 0, CS.D = 1, or CS.L = 1.
enum class CodeSize : uint8_t { k16, k32, k64 };

/// What a monitor must do about an instruction. The first six run as themselves.
enum class Class : uint8_t {
  kInnocuous,       ///< computes on registers, flags and at most one explicit memory operand
  kControlFlow,     ///< near jump, call, return, loop
  kStack,           ///< push, pop, enter, leave …: innocuous with an implicit stack access
  kString,          ///< movs, stos, cmps, scas, lods, with or without a repeat prefix
  kImplicitMemory,  ///< innocuous, but its memory is not (just) its explicit operand: xlat, gathers, bt m, r
                    ///< …
  kState,           ///< x87, SSE and XSAVE images, whose pointers and masks have to be virtualized
  kControlSensitive,    ///< changes privileged state, or leaves the current privilege level
  kBehaviourSensitive,  ///< its result depends on privileged state
  kUnsupported,         ///< not offered to the guest: #UD
};

struct Instruction {
  Class klass;
  CodeSize code_size;
  ZydisDecodedInstruction zydis;
  /// The first `zydis.operand_count` are valid after decode(), none after decode_brief().
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

  [[nodiscard]] unsigned length() const { return zydis.length; }
  [[nodiscard]] ZydisMnemonic mnemonic() const { return zydis.mnemonic; }
};

/// Its ModRM byte, or its moffs field, names memory (lea, nop and prefetch included). Needs no operands.
[[nodiscard]] bool has_explicit_memory(const Instruction& instruction);

/// The explicit memory operand, or null if there is none. Needs decoded operands.
[[nodiscard]] const ZydisDecodedOperand* memory_operand(const Instruction& instruction);

/// How many bytes from its explicit memory operand's address an instruction may load or store; 0 if it has
/// none. Masked-out elements count. xsave and its kin report their legacy region and header only. Needs
/// decoded operands.
[[nodiscard]] unsigned memory_bytes(const Instruction& instruction);

/// Whether the explicit memory operand is loaded or stored. False where there is none, and for those
/// that only compute or hint with it: lea, nop, prefetch, cldemote, bndmk, invlpg, and clflush,
/// clflushopt, clwb (these translate the address, and fault as a load would, but transfer no data).
[[nodiscard]] bool memory_operand_is_accessed(const Instruction& instruction);

/// A cache-line instruction that translates its address as a one-byte load does: clflush, clflushopt, clwb.
[[nodiscard]] bool is_cache_line_flush(const Instruction& instruction);

/// bt, bts, btr or btc with a memory operand and a register bit offset: the access is at the operand's
/// address plus (offset >> log2(width)) elements, the offset being signed (SDM volume 2, BT).
[[nodiscard]] bool is_bit_string(const Instruction& instruction);

}  // namespace eidolon::isa
