// register_use() against the processor. An instruction is run, then run again with one register or flag
// changed that it is said not to read: nothing else may come out differently, and if the register or flag is
// said to be killed, not even that.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "isa/decoder.h"
#include "isa/liveness.h"
#include "isa/rewrite.h"
#include "native_run.h"
#include "random_code.h"

namespace eidolon::isa {
namespace {

constexpr uint64_t kSeed = 41;
constexpr int kAttempts = 60000;

bool is_deterministic(ZydisMnemonic mnemonic) {
  return mnemonic != ZYDIS_MNEMONIC_RDRAND && mnemonic != ZYDIS_MNEMONIC_RDSEED;
}

class LivenessNative : public testing::Test {
 protected:
  NativeState random_state() {
    NativeState state;
    for (uint64_t& value : state.gpr) value = random_() >> (random_() % 4 == 0 ? 58 : 0);
    state.flags = 0x202 | (random_() & kLiveFlags);
    return state;
  }

  /// What was written without being declared, as text.
  static std::string undeclared_writes(const RegisterUse& use, const NativeState& before,
                                       const NativeState& after) {
    std::string text;
    for (unsigned r = 0; r < 16; ++r) {
      if (before.gpr[r] != after.gpr[r] && !(use.gpr_written >> r & 1)) text += fmt::format(" writes r{}", r);
    }
    const uint64_t flags = (before.flags ^ after.flags) & kLiveFlags & ~use.flags_written;
    if (flags != 0) text += fmt::format(" writes flags {:#x}", flags);
    return text;
  }

  /// Runs again with register `r` inverted, and says what depended on it.
  std::string dependence_on_register(const RegisterUse& use, unsigned r, const NativeState& before,
                                     const NativeState& after) {
    NativeState again = before;
    again.gpr[r] = ~again.gpr[r];
    if (!runner_.run(again)) return fmt::format(" faults for r{}", r);
    NativeState expected = after;
    if (!(use.gpr_killed >> r & 1)) expected.gpr[r] = again.gpr[r];
    again.flags &= kLiveFlags;
    expected.flags &= kLiveFlags;
    return again == expected ? "" : fmt::format(" reads r{}", r);
  }

  std::string dependence_on_flag(const RegisterUse& use, uint32_t flag, const NativeState& before,
                                 const NativeState& after) {
    NativeState again = before;
    again.flags ^= flag;
    if (!runner_.run(again)) return fmt::format(" faults for flag {:#x}", flag);
    NativeState expected = after;
    if (!(use.flags_killed & flag))
      expected.flags = (expected.flags & ~uint64_t{flag}) | (again.flags & flag);
    again.flags &= kLiveFlags;
    expected.flags &= kLiveFlags;
    return again == expected ? "" : fmt::format(" reads flag {:#x}", flag);
  }

  std::string check(const RegisterUse& use) {
    const NativeState before = random_state();
    NativeState after = before;
    if (!runner_.run(after)) return "";
    ++executed_;
    std::string text = undeclared_writes(use, before, after);
    for (unsigned r = 0; r < 16; ++r) {
      if (!(use.gpr_read >> r & 1)) text += dependence_on_register(use, r, before, after);
    }
    for (uint32_t flag = 1; flag <= 0x800; flag <<= 1) {
      if ((kLiveFlags & flag) && !(use.flags_read & flag))
        text += dependence_on_flag(use, flag, before, after);
    }
    return text;
  }

  NativeRunner runner_;
  std::mt19937_64 random_{kSeed};
  int executed_ = 0;
};

TEST_F(LivenessNative, TheProcessorAgrees) {
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  RandomCode code(kSeed);
  const Decoder decoder;
  std::map<std::string, int> differences;
  for (int i = 0; i < kAttempts; ++i) {
    const auto bytes = code.next(CodeSize::k64);
    Instruction instruction;
    HostBytes host;
    if (decoder.decode(CodeSize::k64, bytes, instruction) != DecodeStatus::kOk) continue;
    const RegisterUse use = register_use(instruction);
    if (use.touches_simd_or_x87 || !is_deterministic(instruction.mnemonic())) continue;
    if (!rewrite_plain(instruction, bytes, host)) continue;
    runner_.load(host.span());
    const std::string text = check(use);
    if (!text.empty()) ++differences[ZydisMnemonicGetString(instruction.mnemonic()) + text];
  }
  for (const auto& [text, count] : differences) ADD_FAILURE() << text << " (" << count << " times)";
  EXPECT_GT(executed_, 1500);
}

}  // namespace
}  // namespace eidolon::isa
