// Tens of thousands of random instructions in each code size: rewritten in every way, decoded again as 64-bit
// code, and compared with the original.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "isa/decoder.h"
#include "isa/rewrite.h"
#include "random_code.h"
#include "same_instruction.h"

namespace eidolon::isa {
namespace {

constexpr uint64_t kSeed = 20240229;
constexpr int kAttempts = 150000;

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x} ", byte);
  return text;
}

class RewriteRandom : public testing::TestWithParam<CodeSize> {
 protected:
  /// Decodes `host` as 64-bit code and compares; records at most a screenful of differences.
  void expect_same(const Instruction& guest, std::span<const uint8_t> bytes, const HostBytes& host, int base,
                   const HostOperand& rest = {}) {
    Instruction again;
    std::string text = "does not decode";
    if (decoder_.decode(CodeSize::k64, host.span(), again) == DecodeStatus::kOk) {
      text = again.length() == host.size ? difference(guest, again, base, rest) : "length";
    }
    ++compared_;
    if (text.empty() || ++failures_ > 40) return;
    ADD_FAILURE() << ZydisMnemonicGetString(guest.mnemonic()) << ": " << text << "\n  guest "
                  << hex(bytes.first(guest.length())) << "\n  host  " << hex(host.span());
  }

  void expect_memory_forms(const Instruction& guest, std::span<const uint8_t> bytes) {
    HostBytes host;
    if (rewrite_rip_relative(guest, bytes, host)) {
      EXPECT_NE(host.displacement_offset, 0);
      expect_same(guest, bytes, host, kRip);
    }
    for (unsigned base = 0; base < 16; ++base) {
      const bool rewritten = is_bit_string(guest) ? rewrite_bit_string(guest, bytes, base, host)
                                                  : rewrite_base(guest, bytes, base, host);
      if (rewritten) expect_same(guest, bytes, host, static_cast<int>(base));
    }
    // Bases, indices and displacements in turn.
    constexpr unsigned kIndices[] = {HostOperand::kNone, 1, 12, 13};
    constexpr int kDisplacements[] = {0, 0x7f, -0x80, 0x80, 0xff0};
    for (int i = 0; i < 3; ++i) {
      const auto turn = static_cast<unsigned>(compared_);
      HostOperand operand{turn % 16, kIndices[turn / 16 % 4], kDisplacements[turn % 5]};
      if (operand.index != HostOperand::kNone) operand.scale_log2 = turn / 64 % 4;
      if (rewrite_operand(guest, bytes, operand, host))
        expect_same(guest, bytes, host, static_cast<int>(operand.base), operand);
    }
  }

  Decoder decoder_;
  int compared_ = 0;
  int failures_ = 0;
};

TEST_P(RewriteRandom, DecodesToTheSameInstruction) {
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  RandomCode code(kSeed);
  std::set<ZydisMnemonic> rewritten;
  for (int i = 0; i < kAttempts; ++i) {
    const auto bytes = code.next(GetParam());
    Instruction guest;
    if (decoder_.decode(GetParam(), bytes, guest) != DecodeStatus::kOk) continue;
    const int before = compared_;
    HostBytes host;
    if (has_explicit_memory(guest)) {
      expect_memory_forms(guest, bytes);
    } else if (guest.mnemonic() != ZYDIS_MNEMONIC_NOP && rewrite_plain(guest, bytes, host)) {
      expect_same(guest, bytes, host, kRip);
    }
    if (compared_ != before) rewritten.insert(guest.mnemonic());
  }
  EXPECT_EQ(failures_, 0);
  EXPECT_GT(compared_, 250000);
  EXPECT_GT(rewritten.size(), 900u);
}

INSTANTIATE_TEST_SUITE_P(CodeSizes, RewriteRandom,
                         testing::Values(CodeSize::k16, CodeSize::k32, CodeSize::k64));

}  // namespace
}  // namespace eidolon::isa
