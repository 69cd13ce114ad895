// The opcode lists behind opcode_facts.h, by opcode map.
#include "isa/opcode_facts.h"

namespace eidolon::isa {

namespace {

bool has_operand_size_one_byte(const ZydisDecodedInstruction& instruction) {
  const uint8_t opcode = instruction.opcode;
  if (opcode < 0x40) return (opcode & 7) == 1 || (opcode & 7) == 3 || (opcode & 7) == 5;  // arithmetic
  if (opcode < 0x50) return true;                                                         // inc, dec
  if (opcode >= 0x91 && opcode <= 0x99) return true;                                      // xchg, cbw, cwd
  if (opcode >= 0xb8 && opcode <= 0xbf) return true;                                      // mov r, imm
  switch (opcode) {
    case 0x69:  // imul
    case 0x6b:
    case 0x81:  // arithmetic with immediates
    case 0x83:
    case 0x85:  // test, xchg, mov
    case 0x87:
    case 0x89:
    case 0x8b:
    case 0xa1:
    case 0xa3:
    case 0xa9:
    case 0xc1:  // shifts
    case 0xc7:
    case 0xd1:
    case 0xd3:
    case 0xf7:
    case 0xff:
      return true;
    case 0xd9:  // fldenv and fnstenv, frstor and fnsave: the format of the image
    case 0xdd:
      return instruction.raw.modrm.mod != 3 && (instruction.raw.modrm.reg & 5) == 4;
    default:
      return false;
  }
}

bool has_operand_size_0f(const ZydisDecodedInstruction& instruction) {
  const uint8_t opcode = instruction.opcode;
  if ((opcode & 0xf0) == 0x40) return true;           // cmovcc
  if (opcode >= 0xc8 && opcode <= 0xcf) return true;  // bswap
  switch (opcode) {
    case 0xa3:  // bt, bts, btr, btc
    case 0xab:
    case 0xb3:
    case 0xbb:
    case 0xba:
    case 0xa4:  // shld, shrd
    case 0xa5:
    case 0xac:
    case 0xad:
    case 0xaf:  // imul
    case 0xb1:  // cmpxchg
    case 0xb6:  // movzx, movsx
    case 0xb7:
    case 0xbe:
    case 0xbf:
    case 0xb8:  // popcnt
    case 0xbc:  // bsf, tzcnt, bsr, lzcnt
    case 0xbd:
    case 0xc1:  // xadd
      return true;
    case 0xc7:
      return instruction.raw.modrm.mod == 3;  // rdrand, rdseed; cmpxchg8b is in memory
    default:
      return false;
  }
}

bool is_legacy(const ZydisDecodedInstruction& instruction) {
  return instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
}

}  // namespace

bool has_operand_size(const ZydisDecodedInstruction& instruction) {
  if (!is_legacy(instruction)) return false;
  switch (instruction.opcode_map) {
    case ZYDIS_OPCODE_MAP_DEFAULT:
      return has_operand_size_one_byte(instruction);
    case ZYDIS_OPCODE_MAP_0F:
      return has_operand_size_0f(instruction);
    case ZYDIS_OPCODE_MAP_0F38:  // movbe, and crc32 of a word or doubleword
      return instruction.mnemonic == ZYDIS_MNEMONIC_MOVBE ||
             (instruction.mnemonic == ZYDIS_MNEMONIC_CRC32 && instruction.opcode == 0xf1);
    default:
      return false;
  }
}

bool names_high_byte_in_reg(const ZydisDecodedInstruction& instruction) {
  if (!is_legacy(instruction) || instruction.raw.modrm.reg < 4) return false;
  const uint8_t opcode = instruction.opcode;
  if (instruction.opcode_map == ZYDIS_OPCODE_MAP_0F)
    return opcode == 0xb0 || opcode == 0xc0;  // cmpxchg, xadd
  if (instruction.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return false;
  if (opcode < 0x40) return (opcode & 7) == 0 || (opcode & 7) == 2;
  return opcode == 0x84 || opcode == 0x86 || opcode == 0x88 || opcode == 0x8a;  // test, xchg, mov
}

bool w_is_operand_size(const ZydisDecodedInstruction& instruction) {
  const uint8_t opcode = instruction.opcode;
  const bool evex = instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
  switch (instruction.opcode_map) {
    case ZYDIS_OPCODE_MAP_0F:
    case ZYDIS_OPCODE_MAP_MAP5:
      // vmovd, vmovq (W selects), kmovd. Then 2A, 2C, 2D, 78, 79, 7B: scalar conversions.
      if (opcode == 0x6e || opcode == 0x7e) return instruction.mnemonic == ZYDIS_MNEMONIC_VMOVD;
      if (opcode == 0x2a || opcode == 0x2c || opcode == 0x2d) return true;
      if (opcode == 0x92 || opcode == 0x93) return instruction.mnemonic == ZYDIS_MNEMONIC_KMOVD;
      return evex && (opcode == 0x78 || opcode == 0x79 || opcode == 0x7b) &&
             (instruction.mnemonic == ZYDIS_MNEMONIC_VCVTSD2USI ||
              instruction.mnemonic == ZYDIS_MNEMONIC_VCVTTSD2USI ||
              instruction.mnemonic == ZYDIS_MNEMONIC_VCVTSS2USI ||
              instruction.mnemonic == ZYDIS_MNEMONIC_VCVTTSS2USI ||
              instruction.mnemonic == ZYDIS_MNEMONIC_VCVTSH2USI ||
              instruction.mnemonic == ZYDIS_MNEMONIC_VCVTTSH2USI ||
              instruction.mnemonic == ZYDIS_MNEMONIC_VCVTUSI2SD ||
              instruction.mnemonic == ZYDIS_MNEMONIC_VCVTUSI2SS ||
              instruction.mnemonic == ZYDIS_MNEMONIC_VCVTUSI2SH);
    case ZYDIS_OPCODE_MAP_0F38:
      return evex ? opcode == 0x7c
                  : opcode >= 0xf2 && opcode <= 0xf7;  // vpbroadcast from a register; BMI1, BMI2
    case ZYDIS_OPCODE_MAP_0F3A:                        // vpextr, vpinsr, vpcmpestr, rorx
      return opcode == 0x16 || opcode == 0x22 || opcode == 0x60 || opcode == 0x61 ||
             (!evex && opcode == 0xf0);
    case ZYDIS_OPCODE_MAP_XOP9:
      return opcode == 0x01 || opcode == 0x02;  // TBM
    case ZYDIS_OPCODE_MAP_XOPA:
      return opcode == 0x10;  // bextr with an immediate
    default:
      return false;
  }
}

bool has_register_immediate(const ZydisDecodedInstruction& instruction) {
  const uint8_t opcode = instruction.opcode;
  if (instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX &&
      instruction.opcode_map == ZYDIS_OPCODE_MAP_0F3A) {
    return (opcode >= 0x48 && opcode <= 0x4c) || (opcode >= 0x5c && opcode <= 0x5f) ||
           (opcode >= 0x68 && opcode <= 0x6f) || (opcode >= 0x78 && opcode <= 0x7f);
  }
  if (instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP &&
      instruction.opcode_map == ZYDIS_OPCODE_MAP_XOP8) {
    return (opcode >= 0x85 && opcode <= 0xa6) || opcode == 0xb6;  // vpmacs, vpcmov, vpperm, vpmadcs
  }
  return false;
}

bool is_gone_in_64bit_mode(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_AAA:
    case ZYDIS_MNEMONIC_AAD:
    case ZYDIS_MNEMONIC_AAM:
    case ZYDIS_MNEMONIC_AAS:
    case ZYDIS_MNEMONIC_ARPL:
    case ZYDIS_MNEMONIC_BOUND:
    case ZYDIS_MNEMONIC_DAA:
    case ZYDIS_MNEMONIC_DAS:
    case ZYDIS_MNEMONIC_SALC:
      return true;
    default:
      return false;
  }
}

}  // namespace eidolon::isa
