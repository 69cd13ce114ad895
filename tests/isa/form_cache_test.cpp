// The form cache against the decoder: whatever it finds has to be what the decoder says about the same bytes.
#include "isa/form_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "isa/random_code.h"

namespace eidolon::isa {
namespace {

/// The instruction with the values that were found put into its operands.
bool same_operand(ZydisDecodedOperand kept, const ZydisDecodedOperand& fresh, const FormCache::Found& found) {
  if (kept.type != fresh.type || kept.size != fresh.size || kept.actions != fresh.actions ||
      kept.visibility != fresh.visibility)
    return false;
  switch (fresh.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
      return kept.reg.value == fresh.reg.value;
    case ZYDIS_OPERAND_TYPE_MEMORY:
      return kept.mem.type == fresh.mem.type && kept.mem.segment == fresh.mem.segment &&
             kept.mem.base == fresh.mem.base && kept.mem.index == fresh.mem.index &&
             kept.mem.scale == fresh.mem.scale &&
             kept.mem.disp.has_displacement == fresh.mem.disp.has_displacement &&
             (!fresh.mem.disp.has_displacement || found.displacement == fresh.mem.disp.value);
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      return found.immediate == fresh.imm.value.s;
    default:
      return false;
  }
}

bool same_use(const RegisterUse& a, const RegisterUse& b) {
  return a.gpr_read == b.gpr_read && a.gpr_written == b.gpr_written && a.gpr_killed == b.gpr_killed &&
         a.flags_read == b.flags_read && a.flags_written == b.flags_written &&
         a.flags_killed == b.flags_killed && a.uses_high_byte == b.uses_high_byte &&
         a.touches_simd_or_x87 == b.touches_simd_or_x87;
}

/// What rewriting reads besides.
bool same_parts(const ZydisDecodedInstruction& a, const ZydisDecodedInstruction& b) {
  return a.mnemonic == b.mnemonic && a.length == b.length && a.encoding == b.encoding &&
         a.opcode_map == b.opcode_map && a.opcode == b.opcode && a.attributes == b.attributes &&
         a.operand_width == b.operand_width && a.address_width == b.address_width &&
         a.stack_width == b.stack_width && a.operand_count == b.operand_count &&
         a.operand_count_visible == b.operand_count_visible && a.cpu_flags == b.cpu_flags &&
         a.raw.modrm.offset == b.raw.modrm.offset && a.raw.modrm.mod == b.raw.modrm.mod &&
         a.raw.modrm.reg == b.raw.modrm.reg && a.raw.disp.size == b.raw.disp.size &&
         a.raw.imm[0].size == b.raw.imm[0].size && a.raw.prefix_count == b.raw.prefix_count &&
         std::equal(a.raw.prefixes, a.raw.prefixes + a.raw.prefix_count, b.raw.prefixes,
                    [](const auto& x, const auto& y) { return x.type == y.type && x.value == y.value; });
}

bool same(const FormCache::Found& found, const Instruction& fresh) {
  const Instruction& kept = found.form->instruction;
  if (!same_parts(kept.zydis, fresh.zydis) || kept.klass != fresh.klass || kept.code_size != fresh.code_size)
    return false;
  if (!same_use(found.form->use, register_use(fresh))) return false;
  for (unsigned i = 0; i < fresh.zydis.operand_count; ++i)
    if (!same_operand(kept.operands[i], fresh.operands[i], found)) return false;
  return true;
}

class FormCacheTest : public ::testing::TestWithParam<x86::Vendor> {
 protected:
  /// False if the cache says something else than the decoder.
  [[nodiscard]] bool agree(CodeSize size, std::span<const uint8_t> bytes) {
    const auto found = cache_.find(size, bytes);
    if (!found) return true;
    ++found_;
    Instruction fresh;
    return decoder_.decode(size, bytes, fresh) == DecodeStatus::kOk && same(*found, fresh);
  }

  Decoder decoder_{GetParam()};
  FormCache cache_{decoder_};
  uint64_t found_ = 0;
};

// Every opcode of the one- and two-byte maps and every ModRM, behind each prefix, three times with other
// bytes behind them, so that what was found first answers for the others.
TEST_P(FormCacheTest, EveryOpcodeIsWhatTheDecoderSays) {
  std::mt19937_64 random(1);
  unsigned wrong = 0;
  for (const CodeSize size : {CodeSize::k32, CodeSize::k64})
    for (const unsigned prefix : {0u, 0x66u, 0xf2u, 0xf3u, 0x64u, 0x65u})
      for (const unsigned rex : {0u, 0x48u, 0x4du})
        for (unsigned opcode = 0; opcode < 0x200; ++opcode)
          for (unsigned modrm = 0; modrm < 0x100; modrm += 1 + (opcode & 1) * 2)
            for (unsigned turn = 0; turn < 3; ++turn) {
              std::array<uint8_t, 15> bytes{};
              size_t at = 0;
              if (prefix != 0) bytes[at++] = static_cast<uint8_t>(prefix);
              if (rex != 0) bytes[at++] = static_cast<uint8_t>(rex);
              if (opcode >= 0x100) bytes[at++] = 0x0f;
              bytes[at++] = static_cast<uint8_t>(opcode);
              bytes[at++] = static_cast<uint8_t>(modrm);
              const uint8_t sib = static_cast<uint8_t>(modrm * 29);
              bytes[at++] = sib;
              while (at < bytes.size()) bytes[at++] = static_cast<uint8_t>(random());
              wrong += agree(size, bytes) ? 0 : 1;
              cache_.trim();
            }
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(found_, 1'000'000u);
}

TEST_P(FormCacheTest, RandomInstructionsAreWhatTheDecoderSays) {
  RandomCode code(7);
  unsigned wrong = 0;
  for (unsigned i = 0; i < 2'000'000; ++i) {
    const CodeSize size = i % 2 == 0 ? CodeSize::k64 : CodeSize::k32;
    const auto bytes = code.next(size);
    wrong += agree(size, std::span(bytes).first(i % 16)) && agree(size, bytes) ? 0 : 1;
    cache_.trim();
    ASSERT_LE(cache_.size(), FormCache::kMostForms + 2);
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(found_, 100'000u);
}

TEST_P(FormCacheTest, ValuesAreThoseOfTheBytes) {
  const auto find = [this](std::vector<uint8_t> bytes) {
    bytes.resize(15);
    return *cache_.find(CodeSize::k64, bytes);
  };
  const auto first = find({0x48, 0x81, 0x83, 1, 0, 0, 0, 2, 0, 0, 0});  // add qword [rbx + 1], 2
  const auto second = find({0x48, 0x81, 0x83, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff});
  EXPECT_EQ(first.form, second.form);
  EXPECT_EQ(first.displacement, 1);
  EXPECT_EQ(first.immediate, 2);
  EXPECT_EQ(second.displacement, -1);
  EXPECT_EQ(second.immediate, -2);
  // A count of 0 leaves the flags alone, so it is another form.
  EXPECT_NE(find({0xc1, 0xe0, 0}).form, find({0xc1, 0xe0, 1}).form);
}

INSTANTIATE_TEST_SUITE_P(Vendors, FormCacheTest, ::testing::Values(x86::Vendor::kIntel, x86::Vendor::kAmd),
                         [](const auto& test) {
                           return test.param == x86::Vendor::kIntel ? "Intel" : "Amd";
                         });

}  // namespace
}  // namespace eidolon::isa
