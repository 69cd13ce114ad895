// Which part of the extended processor state an instruction belongs to (SDM volume 3, 2.5 and 13.3), from
// what Zydis knows of its encoding and instruction-set extension.
#include "isa/catalogue.h"

namespace eidolon::isa {

namespace {

/// Members of the SSE extensions that use neither XMM registers nor MXCSR, and run whatever CR0 and CR4 say.
bool is_sse_without_state(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_CRC32:
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_MOVNTI:
    case ZYDIS_MNEMONIC_POPCNT:
    case ZYDIS_MNEMONIC_PREFETCHNTA:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2:
    case ZYDIS_MNEMONIC_SFENCE:
      return true;
    default:
      return false;
  }
}

ExtendedState legacy_state(const ZydisDecodedInstruction& instruction) {
  switch (instruction.meta.isa_ext) {
    case ZYDIS_ISA_EXT_X87:
      return ExtendedState::kX87;
    case ZYDIS_ISA_EXT_MMX:
    case ZYDIS_ISA_EXT_AMD3DNOW:
      return ExtendedState::kMmx;
    case ZYDIS_ISA_EXT_SSE3:
      return instruction.mnemonic == ZYDIS_MNEMONIC_FISTTP ? ExtendedState::kX87 : ExtendedState::kSse;
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE4:
      return is_sse_without_state(instruction.mnemonic) ? ExtendedState::kNone : ExtendedState::kSse;
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4A:
    case ZYDIS_ISA_EXT_AES:
    case ZYDIS_ISA_EXT_PCLMULQDQ:
    case ZYDIS_ISA_EXT_SHA:
    case ZYDIS_ISA_EXT_GFNI:
      return ExtendedState::kSse;
    default:
      return ExtendedState::kNone;
  }
}

ExtendedState vex_state(ZydisISAExt extension) {
  switch (extension) {
    case ZYDIS_ISA_EXT_BMI1:
    case ZYDIS_ISA_EXT_BMI2:
    case ZYDIS_ISA_EXT_TBM:
      return ExtendedState::kNone;
    case ZYDIS_ISA_EXT_AVX512VEX:
      return ExtendedState::kAvx512;
    default:
      return ExtendedState::kAvx;
  }
}

}  // namespace

ExtendedState required_state(const ZydisDecodedInstruction& instruction) {
  switch (instruction.encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_LEGACY:
    case ZYDIS_INSTRUCTION_ENCODING_3DNOW:
      return legacy_state(instruction);
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
    case ZYDIS_INSTRUCTION_ENCODING_XOP:
      return vex_state(instruction.meta.isa_ext);
    default:
      return ExtendedState::kAvx512;
  }
}

}  // namespace eidolon::isa
