// memory_bytes() against the processor: with its operand ending where a page ends, and an unmapped page
// behind it, an instruction must not fault. One byte further on, most must.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>

#include <map>
#include <set>

#include "isa/decoder.h"
#include "isa/liveness.h"
#include "isa/rewrite.h"
#include "native_run.h"
#include "random_code.h"

namespace eidolon::isa {
namespace {

constexpr uint64_t kSeed = 4711;
constexpr int kAttempts = 100000;
constexpr unsigned kRdi = 7;
constexpr size_t kPage = 4096;

/// Loading a control register from random memory faults for reasons of its own, or outlives the run.
bool loads_control(ZydisMnemonic mnemonic) {
  return mnemonic == ZYDIS_MNEMONIC_LDMXCSR || mnemonic == ZYDIS_MNEMONIC_VLDMXCSR ||
         mnemonic == ZYDIS_MNEMONIC_FLDCW;
}

class MemorySizeNative : public testing::Test {
 protected:
  MemorySizeNative() {
    void* memory = mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(memory, MAP_FAILED);
    memory_ = static_cast<uint8_t*>(memory);
    EXPECT_EQ(mprotect(memory_ + kPage, kPage, PROT_NONE), 0);
  }
  ~MemorySizeNative() override { munmap(memory_, 2 * kPage); }

  /// The signal that the loaded instruction ends with if its operand ends `beyond` bytes behind the page's
  /// end.
  int signal_with(unsigned size, unsigned beyond) {
    NativeState state{};
    state.flags = 0x202;
    state.gpr[kRdi] = reinterpret_cast<uint64_t>(memory_ + kPage - size + beyond);
    return runner_.run(state) ? 0 : runner_.signal();
  }

  NativeRunner runner_;
  uint8_t* memory_ = nullptr;
};

TEST_F(MemorySizeNative, NoInstructionReachesFurther) {
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  RandomCode code(kSeed);
  const Decoder decoder;
  std::set<std::string> too_small;
  std::set<ZydisMnemonic> executed;
  int exact = 0;
  for (int i = 0; i < kAttempts; ++i) {
    const auto bytes = code.next(CodeSize::k64);
    Instruction instruction;
    HostBytes host;
    if (decoder.decode(CodeSize::k64, bytes, instruction) != DecodeStatus::kOk) continue;
    if (instruction.klass != Class::kInnocuous || !memory_operand_is_accessed(instruction)) continue;
    if (loads_control(instruction.mnemonic()) || !rewrite_base(instruction, bytes, kRdi, host)) continue;
    runner_.load(host.span());
    const unsigned size = memory_bytes(instruction);
    const int at_end = signal_with(size, 0);
    if (at_end == SIGSEGV)
      too_small.insert(fmt::format("{} {}", ZydisMnemonicGetString(instruction.mnemonic()), size));
    if (at_end != 0) continue;
    executed.insert(instruction.mnemonic());
    if (signal_with(size, 1) == SIGSEGV) ++exact;
  }
  for (const std::string& text : too_small) ADD_FAILURE() << text;
  EXPECT_GT(executed.size(), 300u);
  EXPECT_GT(exact, 3000);
}

}  // namespace
}  // namespace eidolon::isa
