// The decoder library set up once per code size, and its answers made architectural. What it is told to leave
// out is said where it is told.
#include "isa/decoder.h"

#include <algorithm>
#include <array>

#include "isa/amd_forms.h"
#include "isa/catalogue.h"

namespace eidolon::isa {

namespace {

ZydisDecoder make_decoder(x86::Vendor vendor, ZydisMachineMode mode, ZydisStackWidth stack) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, mode, stack);
  // Knights Corner reuses opcodes of AVX-512. MPX and CET are not offered: on a processor without them their
  // opcodes in the hint space (bndmov, rdssp, endbr …) are nops, and compilers emit them in the knowledge of
  // that.
  for (const ZydisDecoderMode off :
       {ZYDIS_DECODER_MODE_MINIMAL, ZYDIS_DECODER_MODE_KNC, ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET}) {
    ZydisDecoderEnableMode(&decoder, off, ZYAN_FALSE);
  }
  for (const ZydisDecoderMode on : {ZYDIS_DECODER_MODE_LZCNT, ZYDIS_DECODER_MODE_TZCNT,
                                    ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE}) {
    ZydisDecoderEnableMode(&decoder, on, ZYAN_TRUE);
  }
  ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, vendor == x86::Vendor::kAmd);
  return decoder;
}

DecodeStatus status_of(ZyanStatus status, size_t given) {
  if (ZYAN_SUCCESS(status)) return DecodeStatus::kOk;
  if (status == ZYDIS_STATUS_NO_MORE_DATA) {
    return given < kMaxInstructionLength ? DecodeStatus::kNeedMore : DecodeStatus::kTooLong;
  }
  return status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ? DecodeStatus::kTooLong : DecodeStatus::kInvalid;
}

/// Knights Corner's own encodings: its vector prefix, and masks and scalars under VEX.
bool is_knights_corner(const ZydisDecodedInstruction& instruction) {
  const ZydisISAExt extension = instruction.meta.isa_ext;
  return instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX || extension == ZYDIS_ISA_EXT_KNC ||
         extension == ZYDIS_ISA_EXT_KNCE || extension == ZYDIS_ISA_EXT_KNCV;
}

/// SIB.base = 5 with mod = 0 is a displacement and no base, whatever REX.B is (SDM volume 2, table 2-5);
/// Zydis 4.0 takes it for r13 if REX.B is set.
void remove_phantom_base(Instruction& instruction) {
  const ZydisDecodedInstruction& zydis = instruction.zydis;
  if (!(zydis.attributes & ZYDIS_ATTRIB_HAS_SIB) || zydis.raw.modrm.mod != 0 || zydis.raw.sib.base != 5)
    return;
  for (unsigned i = 0; i < zydis.operand_count_visible; ++i) {
    ZydisDecodedOperand& operand = instruction.operands[i];
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.base == ZYDIS_REGISTER_NONE) continue;
    operand.mem.base = ZYDIS_REGISTER_NONE;
    operand.mem.disp.has_displacement = ZYAN_TRUE;
    operand.mem.disp.value = zydis.raw.disp.value;
  }
}

}  // namespace

// The stack width is that of the code size: an instruction whose stack access follows SS.B reads SS.B itself.
Decoder::Decoder(x86::Vendor vendor)
    : decoders_{make_decoder(vendor, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16),
                make_decoder(vendor, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32),
                make_decoder(vendor, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)},
      vendor_(vendor) {}

/// Makes AMD's meaning of what has been decoded as Intel's.
DecodeStatus Decoder::decode_for_amd(std::span<const uint8_t> bytes, Instruction& inout,
                                     ZydisDecoderContext& context) const {
  if (amd::is_undefined(inout.zydis)) return DecodeStatus::kInvalid;
  if (amd::is_narrow_branch(inout)) inout.zydis.operand_width = 16;
  inout.zydis.mnemonic = amd::loop_meant(inout.zydis);
  if (!amd::is_exchange(inout.zydis)) return DecodeStatus::kOk;
  // Once more, with a prefix in place of the F3 that does nothing here. There are registers only.
  std::array<uint8_t, kMaxInstructionLength> without{};
  const unsigned length = inout.length();
  std::ranges::replace_copy(bytes.first(length), without.begin(), uint8_t{0xf3}, uint8_t{0x3e});
  const ZyanStatus status = ZydisDecoderDecodeInstruction(&decoders_[static_cast<unsigned>(inout.code_size)],
                                                          &context, without.data(), length, &inout.zydis);
  inout.klass = classify(inout.zydis);
  return status_of(status, length);
}

DecodeStatus Decoder::decode_brief(CodeSize size, std::span<const uint8_t> bytes, Instruction& out,
                                   ZydisDecoderContext& context) const {
  const size_t given = std::min(bytes.size(), kMaxInstructionLength);
  if (given == 0) return DecodeStatus::kNeedMore;
  const ZyanStatus status = ZydisDecoderDecodeInstruction(&decoders_[static_cast<unsigned>(size)], &context,
                                                          bytes.data(), given, &out.zydis);
  if (!ZYAN_SUCCESS(status)) return status_of(status, given);
  if (is_knights_corner(out.zydis)) return DecodeStatus::kInvalid;
  out.code_size = size;
  out.klass = classify(out.zydis);
  return vendor_ == x86::Vendor::kAmd ? decode_for_amd(bytes, out, context) : DecodeStatus::kOk;
}

void Decoder::decode_operands(const ZydisDecoderContext& context, Instruction& inout) const {
  ZydisDecoderDecodeOperands(&decoders_[static_cast<unsigned>(inout.code_size)], &context, &inout.zydis,
                             inout.operands, inout.zydis.operand_count);
  remove_phantom_base(inout);
}

DecodeStatus Decoder::decode(CodeSize size, std::span<const uint8_t> bytes, Instruction& out) const {
  ZydisDecoderContext context;
  const DecodeStatus status = decode_brief(size, bytes, out, context);
  if (status == DecodeStatus::kOk) decode_operands(context, out);
  return status;
}

bool requires_protected_mode(const Instruction& instruction) {
  switch (instruction.zydis.encoding) {
    case ZYDIS_INSTRUCTION_ENCODING_VEX:
    case ZYDIS_INSTRUCTION_ENCODING_EVEX:
    case ZYDIS_INSTRUCTION_ENCODING_XOP:
      return true;
    default:
      break;
  }
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_ARPL:
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_LLDT:
    case ZYDIS_MNEMONIC_LTR:
    case ZYDIS_MNEMONIC_SLDT:
    case ZYDIS_MNEMONIC_STR:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
      return true;
    default:
      return false;
  }
}

}  // namespace eidolon::isa
