#include "isa/amd_forms.h"

namespace eidolon::isa::amd {

namespace {

/// The repeat prefix that counts, the last; 0: none.
uint8_t repeat_prefix(const ZydisDecodedInstruction& instruction) {
  const auto& raw = instruction.raw;
  for (unsigned i = raw.prefix_count; i > 0; --i) {
    const uint8_t prefix = raw.prefixes[i - 1].value;
    if (prefix == 0xf2 || prefix == 0xf3) return prefix;
  }
  return 0;
}

}  // namespace

bool is_undefined(const ZydisDecodedInstruction& instruction) {
  if (instruction.mnemonic == ZYDIS_MNEMONIC_CLZERO) return repeat_prefix(instruction) != 0;
  if (instruction.opcode_map == ZYDIS_OPCODE_MAP_0F &&
      instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY)
    return instruction.opcode == 0x0d && instruction.raw.modrm.mod == 3;
  const bool extract_or_insert =
      instruction.mnemonic == ZYDIS_MNEMONIC_VPEXTRD || instruction.mnemonic == ZYDIS_MNEMONIC_VPINSRD;
  return extract_or_insert && instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX &&
         instruction.machine_mode != ZYDIS_MACHINE_MODE_LONG_64 && instruction.raw.vex.W != 0;
}

bool is_exchange(const ZydisDecodedInstruction& instruction) {
  return instruction.mnemonic == ZYDIS_MNEMONIC_PAUSE && instruction.raw.rex.B != 0;
}

ZydisMnemonic loop_meant(const ZydisDecodedInstruction& instruction) {
  if (instruction.mnemonic != ZYDIS_MNEMONIC_LOOPE && instruction.mnemonic != ZYDIS_MNEMONIC_LOOPNE)
    return instruction.mnemonic;
  switch (repeat_prefix(instruction)) {
    case 0xf3:
      return ZYDIS_MNEMONIC_LOOPE;
    case 0xf2:
      return ZYDIS_MNEMONIC_LOOPNE;
    default:
      return instruction.mnemonic;
  }
}

bool is_narrow_branch(const Instruction& instruction) {
  const ZydisDecodedInstruction& zydis = instruction.zydis;
  return instruction.klass == Class::kControlFlow && instruction.code_size == CodeSize::k64 &&
         (zydis.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0 && zydis.raw.rex.W == 0;
}

}  // namespace eidolon::isa::amd
