// The encodings that AMD's and Intel's processors take for different things, decoded as either.
#include "isa/amd_forms.h"

#include <gtest/gtest.h>

#include "decoded.h"
#include "x86/vendor.h"

namespace eidolon::isa {
namespace {

using x86::Vendor;

static_assert(x86::vendor_of(0x756e6547, 0x6c65746e) == Vendor::kIntel);  // GenuineIntel
static_assert(x86::vendor_of(0x68747541, 0x444d4163) == Vendor::kAmd);    // AuthenticAMD
static_assert(x86::vendor_of(0x6f677948, 0x656e6975) == Vendor::kAmd);    // HygonGenuine

DecodeStatus status(Vendor vendor, CodeSize size, const Bytes& bytes) {
  Instruction instruction;
  return Decoder(vendor).decode(size, bytes, instruction);
}

Instruction decoded_as(Vendor vendor, const Bytes& bytes) {
  Instruction instruction{};
  EXPECT_EQ(Decoder(vendor).decode(CodeSize::k64, bytes, instruction), DecodeStatus::kOk);
  EXPECT_LE(instruction.length(), bytes.size());
  return instruction;
}

TEST(AmdForms, AnOperandSizePrefixNarrowsNearBranches) {
  const Bytes jump = {0x66, 0x0f, 0x84, 0x10, 0x20, 0x30, 0x40};  // jz rel16 or rel32
  EXPECT_EQ(decoded_as(Vendor::kIntel, jump).length(), 7u);
  EXPECT_EQ(decoded_as(Vendor::kIntel, jump).zydis.operand_width, 64u);
  EXPECT_EQ(decoded_as(Vendor::kAmd, jump).length(), 5u);
  EXPECT_EQ(decoded_as(Vendor::kAmd, jump).zydis.operand_width, 16u);
}

TEST(AmdForms, NearBranchesHaveTheWidthThatTheirEncodingHas) {
  const std::vector<Bytes> branches = {{0xc3},
                                       {0xc2, 8, 0},
                                       {0xe8, 0, 0, 0, 0},
                                       {0xe9, 0, 0, 0, 0},
                                       {0xeb, 0},
                                       {0x74, 0},
                                       {0xe0, 0},
                                       {0xe1, 0},
                                       {0xe2, 0},
                                       {0xe3, 0},
                                       {0xff, 0xd0},
                                       {0xff, 0x20},
                                       {0x0f, 0x84, 0, 0, 0, 0}};
  for (const Bytes& branch : branches) {
    Bytes narrow = {0x66}, wide = {0x66, 0x48};
    narrow.insert(narrow.end(), branch.begin(), branch.end());
    wide.insert(wide.end(), branch.begin(), branch.end());
    EXPECT_EQ(decoded_as(Vendor::kIntel, branch).zydis.operand_width, 64u) << unsigned{branch[0]};
    EXPECT_EQ(decoded_as(Vendor::kIntel, narrow).zydis.operand_width, 64u) << unsigned{branch[0]};
    EXPECT_EQ(decoded_as(Vendor::kAmd, branch).zydis.operand_width, 64u) << unsigned{branch[0]};
    EXPECT_EQ(decoded_as(Vendor::kAmd, narrow).zydis.operand_width, 16u) << unsigned{branch[0]};
    EXPECT_EQ(decoded_as(Vendor::kAmd, wide).zydis.operand_width, 64u) << unsigned{branch[0]};
  }
}

TEST(AmdForms, PauseWithRexBExchanges) {
  const Bytes pause = {0xf3, 0x49, 0x90};
  EXPECT_EQ(decoded_as(Vendor::kIntel, pause).mnemonic(), ZYDIS_MNEMONIC_PAUSE);
  const Instruction exchange = decoded_as(Vendor::kAmd, pause);
  EXPECT_EQ(exchange.mnemonic(), ZYDIS_MNEMONIC_XCHG);
  EXPECT_EQ(exchange.length(), 3u);
  EXPECT_EQ(exchange.operands[0].reg.value, ZYDIS_REGISTER_R8);
  EXPECT_EQ(exchange.operands[1].reg.value, ZYDIS_REGISTER_RAX);
  EXPECT_EQ(decoded_as(Vendor::kAmd, {0xf3, 0x90}).mnemonic(), ZYDIS_MNEMONIC_PAUSE);
}

TEST(AmdForms, PrefetchesOfRegistersAreUndefined) {
  EXPECT_EQ(status(Vendor::kIntel, CodeSize::k64, {0x0f, 0x0d, 0xc8}), DecodeStatus::kOk);
  EXPECT_EQ(status(Vendor::kAmd, CodeSize::k64, {0x0f, 0x0d, 0xc8}), DecodeStatus::kInvalid);
  EXPECT_EQ(status(Vendor::kAmd, CodeSize::k64, {0x0f, 0x0d, 0x08}), DecodeStatus::kOk);
}

TEST(AmdForms, ClearingALineTakesNoRepeatPrefix) {
  EXPECT_EQ(status(Vendor::kAmd, CodeSize::k64, {0x0f, 0x01, 0xfc}), DecodeStatus::kOk);
  EXPECT_EQ(status(Vendor::kAmd, CodeSize::k64, {0x66, 0x0f, 0x01, 0xfc}), DecodeStatus::kOk);
  EXPECT_EQ(status(Vendor::kAmd, CodeSize::k64, {0xf2, 0x0f, 0x01, 0xfc}), DecodeStatus::kInvalid);
  EXPECT_EQ(status(Vendor::kAmd, CodeSize::k32, {0xf3, 0x66, 0x0f, 0x01, 0xfc}), DecodeStatus::kInvalid);
}

TEST(AmdForms, ExtractAndInsertOfQuadwordsNeed64BitMode) {
  const Bytes extract = {0xc4, 0xe3, 0xf9, 0x16, 0xc0, 0x01}, insert = {0xc4, 0xe3, 0xf9, 0x22, 0xc0, 0x01};
  for (const Bytes& bytes : {extract, insert}) {
    EXPECT_EQ(status(Vendor::kIntel, CodeSize::k32, bytes), DecodeStatus::kOk);
    EXPECT_EQ(status(Vendor::kAmd, CodeSize::k32, bytes), DecodeStatus::kInvalid);
    EXPECT_EQ(status(Vendor::kAmd, CodeSize::k64, bytes), DecodeStatus::kOk);
  }
}

TEST(AmdForms, RepeatPrefixesDecideTheConditionOfLoops) {
  EXPECT_EQ(decoded_as(Vendor::kIntel, {0xf2, 0xe1, 0}).mnemonic(), ZYDIS_MNEMONIC_LOOPE);
  EXPECT_EQ(decoded_as(Vendor::kAmd, {0xf2, 0xe1, 0}).mnemonic(), ZYDIS_MNEMONIC_LOOPNE);
  EXPECT_EQ(decoded_as(Vendor::kAmd, {0xf3, 0xe0, 0}).mnemonic(), ZYDIS_MNEMONIC_LOOPE);
  EXPECT_EQ(decoded_as(Vendor::kAmd, {0xe0, 0}).mnemonic(), ZYDIS_MNEMONIC_LOOPNE);
  EXPECT_EQ(decoded_as(Vendor::kAmd, {0xf3, 0xe2, 0}).mnemonic(), ZYDIS_MNEMONIC_LOOP);
}

}  // namespace
}  // namespace eidolon::isa
