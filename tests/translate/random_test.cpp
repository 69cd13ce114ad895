// Random straight-line and branching code, on the step engine and on the translator: the same registers,
// flags, extended state and memory afterwards. Memory operands land in a window of which every second page is
// missing, so faults are part of it: the processor then shuts down, and what it had is compared.
#include <cstring>
#include <random>

#include "cpu/state_image.h"
#include "isa/catalogue.h"
#include "isa/decoder.h"
#include "isa/random_code.h"
#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

class RandomProgram {
 public:
  explicit RandomProgram(uint64_t seed) : code_(seed), random_(seed * 77 + 1) {}

  std::vector<uint8_t> next(unsigned instructions) {
    std::vector<uint8_t> program;
    for (unsigned count = 0; count < instructions;) {
      const auto bytes = code_.next(isa::CodeSize::k64);
      if (decoder_.decode(isa::CodeSize::k64, bytes, instruction_) != isa::DecodeStatus::kOk) continue;
      if (!wanted()) continue;
      std::vector<uint8_t> chosen(bytes.begin(), bytes.begin() + instruction_.length());
      shrink_displacement(chosen);
      program.insert(program.end(), chosen.begin(), chosen.end());
      ++count;
    }
    return program;
  }

  uint64_t random() { return random_(); }

 private:
  bool wanted() const {
    switch (instruction_.klass) {
      case isa::Class::kInnocuous:
      case isa::Class::kStack:
      case isa::Class::kString:
        break;
      default:
        return isa::is_bit_string(instruction_);
    }
    switch (instruction_.mnemonic()) {
      case ZYDIS_MNEMONIC_STD:  // a long store downwards would meet the program and its page tables
      case ZYDIS_MNEMONIC_RDRAND:
      case ZYDIS_MNEMONIC_RDSEED:
        return false;
      default:
        return true;
    }
  }
  /// Displacements of four bytes would lead out of the window.
  void shrink_displacement(std::vector<uint8_t>& bytes) const {
    const auto& disp = instruction_.zydis.raw.disp;
    if (disp.size != 32) return;
    const bool relative = (instruction_.zydis.attributes & ZYDIS_ATTRIB_IS_RELATIVE) != 0;
    bytes[disp.offset + 1] &= relative ? 0x3f : 0x1f;
    bytes[disp.offset + 2] = relative ? 0x20 : 0;
    bytes[disp.offset + 3] = 0;
  }

  isa::RandomCode code_;
  isa::Decoder decoder_;
  isa::Instruction instruction_;
  std::mt19937_64 random_;
};

std::string hex(const std::vector<uint8_t>& bytes) {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

constexpr uint64_t kWindow = 0x300000;
constexpr uint64_t kWindowSize = 0x20000;

void prepare(BareMachine& machine, uint64_t seed) {
  std::mt19937_64 random(seed);
  cpu::State& s = machine.state();
  for (uint64_t& reg : s.gpr) reg = kWindow + 0x8000 + random() % 0x8000;
  if (random() % 2) s.gpr[x86::kRcx] = random() % 70;
  s.gpr[x86::kRsp] = kWindow + 0x10000 + (random() % 0x800) * 8;
  s.rflags = x86::kFlagFixed | (random() & x86::kFlagsArithmetic);
  std::vector<uint8_t> data(kWindowSize);
  for (auto& byte : data) byte = static_cast<uint8_t>(random());
  ASSERT_TRUE(machine.memory().write(kWindow, data.data(), data.size()));
  for (unsigned i = 160; i < 416; ++i) s.fpu.bytes[i] = static_cast<uint8_t>(random());
  s.fpu.bytes[512] |= 3;
}

TEST(TranslateRandom, AgreesWithStep) {
  BareMachine stepped(false);
  BareMachine translated(true);
  const cpu::State initial = stepped.state();
  unsigned shutdowns = 0;
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    RandomProgram generator(seed);
    const auto program = generator.next(1 + seed % 12);
    Stop stops[2];
    unsigned i = 0;
    for (BareMachine* machine : {&stepped, &translated}) {
      machine->state() = initial;
      prepare(*machine, seed);
      stops[i++] = machine->run(program);
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed << " code " << hex(program));
    ASSERT_EQ(stops[0], stops[1]);
    const cpu::State& a = stepped.state();
    const cpu::State& b = translated.state();
    for (unsigned reg = 0; reg < 16; ++reg)
      ASSERT_EQ(a.gpr[reg], b.gpr[reg])
          << "register " << reg << fmt::format(" r9 {:x} fl {:x} {:x}", a.gpr[9], a.rflags, b.rflags);
    ASSERT_EQ(a.rip, b.rip);
    if (stops[0] == Stop::kRequested) {
      ASSERT_EQ(a.rflags, b.rflags);
    }
    if (stops[0] == Stop::kShutdown) ++shutdowns;
    const auto a_legacy = cpu::image::guest_legacy(a.fpu), b_legacy = cpu::image::guest_legacy(b.fpu);
    ASSERT_EQ(std::memcmp(a_legacy.data() + 32, b_legacy.data() + 32, 384), 0);
    ASSERT_EQ(std::memcmp(stepped.memory().host(kWindow, kWindowSize),
                          translated.memory().host(kWindow, kWindowSize), kWindowSize),
              0);
  }
  EXPECT_GT(shutdowns, 50u);
}

}  // namespace
}  // namespace eidolon::engine
