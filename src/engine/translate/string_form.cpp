#include "engine/translate/string_form.h"

namespace eidolon::engine::translate {

namespace {

using Operation = StringForm::Operation;
using Repeat = StringForm::Repeat;

Operation operation_of(uint8_t opcode) {
  switch (opcode & 0xfe) {
    case 0xa4:
      return Operation::kMove;
    case 0xa6:
      return Operation::kCompare;
    case 0xaa:
      return Operation::kStore;
    case 0xac:
      return Operation::kLoad;
    default:
      return Operation::kScan;
  }
}

/// The last of F2 and F3 counts; MOVS, STOS and LODS take both for REP.
Repeat repeat_of(const isa::Instruction& instruction) {
  const auto& raw = instruction.zydis.raw;
  for (unsigned i = raw.prefix_count; i > 0; --i) {
    if (raw.prefixes[i - 1].value == 0xf3) return Repeat::kWhileEqual;
    if (raw.prefixes[i - 1].value == 0xf2) return Repeat::kWhileNotEqual;
  }
  return Repeat::kNone;
}

/// The segment of DS:rSI with its override, if any.
ZydisRegister source_segment(const isa::Instruction& instruction) {
  for (unsigned i = 0; i < instruction.zydis.operand_count; ++i) {
    const ZydisDecodedOperand& operand = instruction.operands[i];
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
    if (operand.mem.base == ZYDIS_REGISTER_RSI || operand.mem.base == ZYDIS_REGISTER_ESI)
      return operand.mem.segment;
  }
  return ZYDIS_REGISTER_DS;
}

}  // namespace

StringForm string_form(const isa::Instruction& instruction) {
  const uint8_t opcode = instruction.zydis.opcode;
  const ZydisRegister segment = source_segment(instruction);
  StringForm form;
  form.operation = operation_of(opcode);
  form.repeat = repeat_of(instruction);
  form.narrow = instruction.zydis.address_width == 32;
  form.size = (opcode & 1) == 0 ? 1 : (instruction.zydis.operand_width / 8) & 15;
  form.segment = segment == ZYDIS_REGISTER_FS ? x86::kFs : segment == ZYDIS_REGISTER_GS ? x86::kGs : x86::kDs;
  return form;
}

bool is_known_string(const isa::Instruction& instruction, Mode mode) {
  if (instruction.zydis.address_width == 16) return false;
  switch (source_segment(instruction)) {
    case ZYDIS_REGISTER_CS:
      return mode.long_code();  // else the code segment may be unreadable
    case ZYDIS_REGISTER_FS:
      return mode.fs_unlimited();
    case ZYDIS_REGISTER_GS:
      return mode.gs_unlimited();
    default:
      return true;
  }
}

}  // namespace eidolon::engine::translate
