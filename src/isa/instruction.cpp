// Questions that ModRM and the mnemonic answer (SDM volume 2, 2.1.5 and appendix A).
#include "isa/instruction.h"

namespace eidolon::isa {

namespace {

bool is_moffs(const ZydisDecodedInstruction& instruction) {
  return instruction.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
         instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && instruction.opcode >= 0xa0 &&
         instruction.opcode <= 0xa3;
}

/// mov to and from control and debug registers ignores ModRM.mod: its operand is always a register.
bool ignores_mod(const ZydisDecodedInstruction& instruction) {
  return instruction.opcode_map == ZYDIS_OPCODE_MAP_0F &&
         instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && instruction.opcode >= 0x20 &&
         instruction.opcode <= 0x23;
}

}  // namespace

bool has_explicit_memory(const Instruction& instruction) {
  const ZydisDecodedInstruction& zydis = instruction.zydis;
  if (zydis.attributes & ZYDIS_ATTRIB_HAS_MODRM) return zydis.raw.modrm.mod != 3 && !ignores_mod(zydis);
  return is_moffs(zydis);
}

const ZydisDecodedOperand* memory_operand(const Instruction& instruction) {
  for (unsigned i = 0; i < instruction.zydis.operand_count_visible; ++i) {
    const ZydisDecodedOperand& operand = instruction.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
      return &operand;
  }
  return nullptr;
}

unsigned memory_bytes(const Instruction& instruction) {
  const ZydisDecodedOperand* operand = memory_operand(instruction);
  return operand == nullptr ? 0 : operand->size / 8u;
}

bool is_cache_line_flush(const Instruction& instruction) {
  const ZydisMnemonic mnemonic = instruction.mnemonic();
  return mnemonic == ZYDIS_MNEMONIC_CLFLUSH || mnemonic == ZYDIS_MNEMONIC_CLFLUSHOPT ||
         mnemonic == ZYDIS_MNEMONIC_CLWB;
}

bool memory_operand_is_accessed(const Instruction& instruction) {
  if (!has_explicit_memory(instruction)) return false;
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_LEA:
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_INVLPG:
    case ZYDIS_MNEMONIC_BNDMK:
    case ZYDIS_MNEMONIC_BNDCL:
    case ZYDIS_MNEMONIC_BNDCN:
    case ZYDIS_MNEMONIC_BNDCU:
    case ZYDIS_MNEMONIC_CLDEMOTE:
    case ZYDIS_MNEMONIC_CLFLUSH:
    case ZYDIS_MNEMONIC_CLFLUSHOPT:
    case ZYDIS_MNEMONIC_CLWB:
    case ZYDIS_MNEMONIC_PREFETCH:
    case ZYDIS_MNEMONIC_PREFETCHNTA:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2:
    case ZYDIS_MNEMONIC_PREFETCHW:
    case ZYDIS_MNEMONIC_PREFETCHWT1:
      return false;
    default:
      return true;
  }
}

bool is_bit_string(const Instruction& instruction) {
  const ZydisDecodedInstruction& zydis = instruction.zydis;
  if (zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || zydis.opcode_map != ZYDIS_OPCODE_MAP_0F)
    return false;
  const bool register_offset =
      zydis.opcode == 0xa3 || zydis.opcode == 0xab || zydis.opcode == 0xb3 || zydis.opcode == 0xbb;
  return register_offset && zydis.raw.modrm.mod != 3;
}

}  // namespace eidolon::isa
