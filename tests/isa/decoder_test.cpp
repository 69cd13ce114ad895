#include "isa/decoder.h"

#include <gtest/gtest.h>

#include "decoded.h"
#include "random_code.h"

namespace eidolon::isa {
namespace {

DecodeStatus status(CodeSize size, const Bytes& bytes) {
  Instruction instruction;
  return Decoder().decode(size, bytes, instruction);
}

ZydisMnemonic mnemonic(CodeSize size, const Bytes& bytes) { return decoded(size, bytes).mnemonic(); }

TEST(Decoder, SameBytesDependOnTheCodeSize) {
  EXPECT_EQ(decoded(CodeSize::k16, {0xb8, 0x34, 0x12}).operands[0].reg.value, ZYDIS_REGISTER_AX);
  EXPECT_EQ(decoded(CodeSize::k32, {0xb8, 0x78, 0x56, 0x34, 0x12}).operands[0].reg.value, ZYDIS_REGISTER_EAX);
  EXPECT_EQ(decoded(CodeSize::k32, {0x66, 0xb8, 0x34, 0x12}).operands[0].reg.value, ZYDIS_REGISTER_AX);
  EXPECT_EQ(mnemonic(CodeSize::k32, {0x48}), ZYDIS_MNEMONIC_DEC);
  EXPECT_EQ(decoded(CodeSize::k64, {0x48, 0x89, 0xc3}).operands[0].reg.value, ZYDIS_REGISTER_RBX);
}

TEST(Decoder, UndefinedOpcodes) {
  EXPECT_EQ(status(CodeSize::k64, {0x06}), DecodeStatus::kInvalid);
  EXPECT_EQ(status(CodeSize::k64, {0x0f, 0x04}), DecodeStatus::kInvalid);
  EXPECT_EQ(status(CodeSize::k64, {0xd6}), DecodeStatus::kInvalid);
  EXPECT_EQ(status(CodeSize::k32, {0xd6}), DecodeStatus::kOk);
}

TEST(Decoder, LockOnlyWhereItIsLegal) {
  EXPECT_EQ(status(CodeSize::k32, {0xf0, 0x01, 0x03}), DecodeStatus::kOk);
  EXPECT_EQ(status(CodeSize::k32, {0xf0, 0x01, 0xc3}), DecodeStatus::kInvalid);
  EXPECT_EQ(status(CodeSize::k32, {0xf0, 0x89, 0x03}), DecodeStatus::kInvalid);
}

TEST(Decoder, MovToCodeSegmentAndMissingControlRegistersAreUndefined) {
  EXPECT_EQ(status(CodeSize::k32, {0x8e, 0xc8}), DecodeStatus::kInvalid);        // mov cs, eax
  EXPECT_EQ(status(CodeSize::k32, {0x0f, 0x20, 0xc8}), DecodeStatus::kInvalid);  // mov eax, cr1
  EXPECT_EQ(status(CodeSize::k32, {0x0f, 0x20, 0x00}), DecodeStatus::kOk);  // mov eax, cr0, whatever mod says
}

TEST(Decoder, FifteenBytesAndNoMore) {
  Bytes fifteen(14, 0x66);
  fifteen.push_back(0x90);
  Bytes sixteen(15, 0x66);
  sixteen.push_back(0x90);
  EXPECT_EQ(status(CodeSize::k64, fifteen), DecodeStatus::kOk);
  EXPECT_EQ(status(CodeSize::k64, sixteen), DecodeStatus::kTooLong);
}

TEST(Decoder, BytesThatEndTooSoon) {
  EXPECT_EQ(status(CodeSize::k64, {}), DecodeStatus::kNeedMore);
  EXPECT_EQ(status(CodeSize::k64, {0x48}), DecodeStatus::kNeedMore);
  EXPECT_EQ(status(CodeSize::k64, {0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7}), DecodeStatus::kNeedMore);
  EXPECT_EQ(status(CodeSize::k64, Bytes(14, 0x66)), DecodeStatus::kNeedMore);
}

TEST(Decoder, WhatIsNotOfferedIsTheNopThatItWasBefore) {
  EXPECT_EQ(mnemonic(CodeSize::k64, {0xf3, 0x0f, 0x1e, 0xfa}), ZYDIS_MNEMONIC_NOP);        // endbr64
  EXPECT_EQ(mnemonic(CodeSize::k64, {0xf3, 0x48, 0x0f, 0x1e, 0xc8}), ZYDIS_MNEMONIC_NOP);  // rdsspq rax
  EXPECT_EQ(mnemonic(CodeSize::k64, {0x66, 0x0f, 0x1a, 0x00}), ZYDIS_MNEMONIC_NOP);        // bndmov
}

TEST(Decoder, RepeatPrefixedScansAreTheirOwnInstructions) {
  EXPECT_EQ(mnemonic(CodeSize::k64, {0xf3, 0x0f, 0xbc, 0xc1}), ZYDIS_MNEMONIC_TZCNT);
  EXPECT_EQ(mnemonic(CodeSize::k64, {0xf3, 0x0f, 0xbd, 0xc1}), ZYDIS_MNEMONIC_LZCNT);
  EXPECT_EQ(mnemonic(CodeSize::k64, {0x0f, 0xbd, 0xc1}), ZYDIS_MNEMONIC_BSR);
}

TEST(Decoder, UndocumentedAliasesDecode) {
  EXPECT_EQ(mnemonic(CodeSize::k64, {0xd1, 0xf0}), ZYDIS_MNEMONIC_SHL);         // D1 /6
  EXPECT_EQ(mnemonic(CodeSize::k64, {0xf6, 0xc8, 0x01}), ZYDIS_MNEMONIC_TEST);  // F6 /1
  EXPECT_EQ(mnemonic(CodeSize::k64, {0xdc, 0xd0}), ZYDIS_MNEMONIC_FCOM);        // fcom2
  EXPECT_EQ(mnemonic(CodeSize::k32, {0x82, 0xc0, 0x01}), ZYDIS_MNEMONIC_ADD);   // 82 = 80
  EXPECT_EQ(mnemonic(CodeSize::k64, {0x0f, 0x0d, 0xc0}), ZYDIS_MNEMONIC_NOP);   // prefetch of a register
}

TEST(Decoder, KnightsCornerIsRefused) {
  EXPECT_EQ(status(CodeSize::k64, {0x62, 0xf1, 0x78, 0x08, 0x58, 0xc1}),
            DecodeStatus::kInvalid);  // P2 bit 2 clear
}

TEST(Decoder, BriefDecodingCanBeCompleted) {
  const Decoder decoder;
  const Bytes bytes = {0x48, 0x03, 0x04, 0x8b};  // add rax, [rbx + rcx * 4]
  Instruction instruction;
  ZydisDecoderContext context;
  ASSERT_EQ(decoder.decode_brief(CodeSize::k64, bytes, instruction, context), DecodeStatus::kOk);
  EXPECT_EQ(instruction.klass, Class::kInnocuous);
  EXPECT_TRUE(has_explicit_memory(instruction));
  decoder.decode_operands(context, instruction);
  ASSERT_NE(memory_operand(instruction), nullptr);
  EXPECT_EQ(memory_operand(instruction)->mem.index, ZYDIS_REGISTER_RCX);
}

TEST(Decoder, RealModeLacksProtectedModeInstructions) {
  EXPECT_TRUE(requires_protected_mode(decoded(CodeSize::k16, {0x0f, 0x00, 0xc0})));         // sldt
  EXPECT_TRUE(requires_protected_mode(decoded(CodeSize::k16, {0x63, 0xc8})));               // arpl
  EXPECT_TRUE(requires_protected_mode(decoded(CodeSize::k16, {0xc5, 0xf8, 0x77})));         // vzeroupper
  EXPECT_FALSE(requires_protected_mode(decoded(CodeSize::k16, {0x0f, 0x01, 0x16, 0, 0})));  // lgdt
  EXPECT_FALSE(requires_protected_mode(decoded(CodeSize::k16, {0x0f, 0x28, 0xc1})));        // movaps
}

// The decoder library knows real mode as a mode of its own. sysenter, sysexit and sysret are left out: real
// mode answers them with #GP, not #UD.
TEST(Decoder, RealModeAgreesWithTheDecoderLibrary) {
  ZydisDecoder real;
  ASSERT_TRUE(ZYAN_SUCCESS(ZydisDecoderInit(&real, ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16)));
  ZydisDecoderEnableMode(&real, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
  ZydisDecoderEnableMode(&real, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
  RandomCode code(23);
  const Decoder decoder;
  int refused = 0;
  for (int i = 0; i < 100000; ++i) {
    const auto bytes = code.next(CodeSize::k16);
    Instruction instruction;
    ZydisDecodedInstruction again;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (decoder.decode(CodeSize::k16, bytes, instruction) != DecodeStatus::kOk) continue;
    const ZydisMnemonic mnemonic = instruction.mnemonic();
    if (instruction.klass == Class::kUnsupported || mnemonic == ZYDIS_MNEMONIC_SYSENTER ||
        mnemonic == ZYDIS_MNEMONIC_SYSEXIT || mnemonic == ZYDIS_MNEMONIC_SYSRET) {
      continue;
    }
    const bool valid =
        ZYAN_SUCCESS(ZydisDecoderDecodeFull(&real, bytes.data(), bytes.size(), &again, operands));
    ASSERT_EQ(requires_protected_mode(instruction), !valid) << ZydisMnemonicGetString(mnemonic);
    refused += !valid;
  }
  EXPECT_GT(refused, 1000);
}

TEST(Instruction, MemoryOperandsAndAccesses) {
  const auto is_accessed = [](const Bytes& bytes) {
    return memory_operand_is_accessed(decoded(CodeSize::k64, bytes));
  };
  EXPECT_TRUE(is_accessed({0x8b, 0x00}));
  EXPECT_TRUE(is_accessed({0xa1, 1, 2, 3, 4, 5, 6, 7, 8}));  // moffs
  EXPECT_FALSE(is_accessed({0x8b, 0xc0}));
  EXPECT_FALSE(is_accessed({0x8d, 0x00}));        // lea
  EXPECT_FALSE(is_accessed({0x0f, 0x1f, 0x00}));  // nop
  EXPECT_FALSE(is_accessed({0x0f, 0x18, 0x08}));  // prefetcht0
  EXPECT_FALSE(is_accessed({0x0f, 0xae, 0x38}));  // clflush
  EXPECT_TRUE(is_cache_line_flush(decoded(CodeSize::k64, {0x0f, 0xae, 0x38})));
  EXPECT_FALSE(has_explicit_memory(decoded(CodeSize::k64, {0x0f, 0x22, 0x18})));  // mov cr3, rax with mod = 0
  EXPECT_EQ(memory_operand(decoded(CodeSize::k64, {0xa4})), nullptr);             // movsb: implicit
}

TEST(Instruction, BytesOfAMemoryOperand) {
  const auto bytes_of = [](const Bytes& bytes) { return memory_bytes(decoded(CodeSize::k64, bytes)); };
  EXPECT_EQ(bytes_of({0x8a, 0x00}), 1u);
  EXPECT_EQ(bytes_of({0x48, 0x8b, 0x00}), 8u);
  EXPECT_EQ(bytes_of({0xdb, 0x28}), 10u);                          // fld tbyte
  EXPECT_EQ(bytes_of({0x62, 0xf1, 0x74, 0x48, 0x58, 0x00}), 64u);  // vaddps zmm0, zmm1, [rax]
  EXPECT_EQ(bytes_of({0x62, 0xf1, 0x74, 0x58, 0x58, 0x00}), 4u);   // the same, broadcast
  EXPECT_EQ(bytes_of({0x0f, 0xae, 0x00}), 512u);                   // fxsave
  EXPECT_EQ(bytes_of({0x8b, 0xc0}), 0u);
}

TEST(Instruction, BitStringsAreTheRegisterOffsetFormsInMemory) {
  EXPECT_TRUE(is_bit_string(decoded(CodeSize::k64, {0x0f, 0xab, 0x01})));
  EXPECT_FALSE(is_bit_string(decoded(CodeSize::k64, {0x0f, 0xab, 0xc1})));
  EXPECT_FALSE(is_bit_string(decoded(CodeSize::k64, {0x0f, 0xba, 0x29, 0x03})));
}

}  // namespace
}  // namespace eidolon::isa
