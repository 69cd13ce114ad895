// Every engine against the host processor, class by class, with fixed seeds.
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "cpu/cpuid_host.h"
#include "differential/case_generator.h"
#include "differential/engine_runner.h"
#include "differential/native_runner.h"
#include "engine/step/extended_image.h"
#include "engine/step/step_engine.h"
#include "isa/catalogue.h"
#include "x86/cpuid.h"
#include "x86/exceptions.h"
#include "x86/vendor.h"

namespace eidolon::differential {
namespace {

struct EngineUnderTest {
  const char* name;
  EngineRunner::MakeEngine make;
};

EngineRunner::Execute make_step(cpu::Cpu& cpu) {
  auto engine = std::make_shared<engine::StepEngine>(cpu);
  return [engine, &cpu](const Case& test) -> cpu::Outcome<> {
    const uint64_t start = cpu.state.rip;
    cpu::Outcome<> done = engine->execute_one();
    while (done && test.repeated && cpu.state.rip == start) done = engine->execute_one();
    return done;
  };
}

struct Parameter {
  EngineUnderTest engine;
  isa::Class klass;
  isa::CodeSize size;
  unsigned cases;
  const char* label;
};

/// Flags that the manual leaves undefined and that we compute ourselves: not compared.
uint64_t unspecified_flags(const isa::Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_DAA:
    case ZYDIS_MNEMONIC_DAS:
    case ZYDIS_MNEMONIC_AAA:
    case ZYDIS_MNEMONIC_AAS:
    case ZYDIS_MNEMONIC_AAM:
    case ZYDIS_MNEMONIC_AAD:
      return instruction.zydis.cpu_flags->undefined;
    default:
      return 0;
  }
}

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x} ", byte);
  return text;
}

std::string disassemble(const Case& test, const isa::Instruction& instruction) {
  ZydisFormatter formatter;
  ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
  char buffer[256] = "?";
  ZydisFormatterFormatInstruction(&formatter, &instruction.zydis, instruction.operands,
                                  instruction.zydis.operand_count_visible, buffer, sizeof buffer,
                                  test.before.rip, nullptr);
  return buffer;
}

cpu::State state_of(const Registers& registers) {
  cpu::State state;
  state.fpu = registers.fpu;
  return state;
}

/// A vector register of which only the sign bits of the elements in use are compared.
struct SignsOnly {
  unsigned number;
  unsigned element_size;
  unsigned used;  ///< bytes
};

/// The mask of an AVX2 gather that faulted: the elements done have their sign bits cleared. Intel's
/// processors have spread the sign bits of the others over them and cleared what no element uses, AMD's leave
/// all that alone, and the manuals say nothing.
std::optional<SignsOnly> interrupted_gather_mask(const isa::Instruction& instruction, const Result& host) {
  const bool gather = instruction.zydis.meta.category == ZYDIS_CATEGORY_AVX2GATHER &&
                      instruction.zydis.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
  if (!gather || host.vector < 0) return std::nullopt;
  const ZydisDecodedOperand& mask = instruction.operands[2];
  const std::string_view name = ZydisMnemonicGetString(instruction.mnemonic());
  const unsigned index = name.find("gatherq") != std::string_view::npos ? 8 : 4;
  const unsigned element = mask.element_size / 8u;
  const unsigned count = instruction.zydis.avx.vector_length / 8u / std::max(element, index);
  return SignsOnly{static_cast<unsigned>(ZydisRegisterGetId(mask.reg.value)), element, count * element};
}

bool same_signs(const engine::step::VectorBytes& a, const engine::step::VectorBytes& b,
                const SignsOnly& signs) {
  for (unsigned i = signs.element_size - 1; i < signs.used; i += signs.element_size)
    if (((a[i] ^ b[i]) & 0x80) != 0) return false;
  return true;
}

/// The first difference in words, or an empty string.
std::string compare_extended(const Registers& host, const Registers& ours, std::optional<SignsOnly> signs) {
  const cpu::State a = state_of(host), b = state_of(ours);
  uint64_t present_a, present_b;
  std::memcpy(&present_a, host.fpu.bytes.data() + 512, 8);
  std::memcpy(&present_b, ours.fpu.bytes.data() + 512, 8);
  if ((present_a & present_b & 1) != 0) {
    for (unsigned i = 0; i < 24; ++i) {
      if (host.fpu.bytes[i] != ours.fpu.bytes[i])
        return fmt::format("x87 byte {}: host {}ours {}", i, hex({host.fpu.bytes.data(), 24}),
                           hex({ours.fpu.bytes.data(), 24}));
    }
    for (unsigned i = 0; i < 8; ++i) {
      const unsigned at = 32 + 16 * i;
      if (std::memcmp(&host.fpu.bytes[at], &ours.fpu.bytes[at], 10) != 0)
        return fmt::format("st{}: host {}ours {}", i, hex({&host.fpu.bytes[at], 10}),
                           hex({&ours.fpu.bytes[at], 10}));
    }
  } else if (((present_a ^ present_b) & 1) != 0) {
    return "x87 initial in one and not in the other";
  }
  if (std::memcmp(&host.fpu.bytes[24], &ours.fpu.bytes[24], 4) != 0)
    return fmt::format("MXCSR: host {}ours {}", hex({&host.fpu.bytes[24], 4}), hex({&ours.fpu.bytes[24], 4}));
  for (unsigned i = 0; i < 32; ++i) {
    const auto left = engine::step::read_vector(a, i), right = engine::step::read_vector(b, i);
    if (signs && signs->number == i && same_signs(left, right, *signs)) continue;
    if (left != right) return fmt::format("zmm{}: host {}ours {}", i, hex(left), hex(right));
  }
  for (unsigned i = 0; i < 8; ++i) {
    const uint64_t left = engine::step::read_mask(a, i), right = engine::step::read_mask(b, i);
    if (left != right) return fmt::format("k{}: host {:x} ours {:x}", i, left, right);
  }
  return {};
}

/// A POPA that faults half-way has loaded some registers on some processors; ours loads all or none.
bool partial_registers(const isa::Instruction& instruction, const Result& host) {
  const ZydisMnemonic mnemonic = instruction.mnemonic();
  return host.vector >= 0 && (mnemonic == ZYDIS_MNEMONIC_POPA || mnemonic == ZYDIS_MNEMONIC_POPAD);
}

/// An MMX instruction that faults on its operand has changed TOP and the tags on this host, and not on all.
bool partial_x87(const isa::Instruction& instruction, const Result& host) {
  return host.vector >= 0 && isa::required_state(instruction.zydis) == isa::ExtendedState::kMmx;
}

/// Whether and at which byte a masked byte store faults for bytes that are not stored is the processor's
/// choice (SDM volume 2, MASKMOVQ).
bool faults_freely(const isa::Instruction& instruction, const Result& host) {
  const ZydisMnemonic mnemonic = instruction.mnemonic();
  const bool masked_store = mnemonic == ZYDIS_MNEMONIC_MASKMOVQ || mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU ||
                            mnemonic == ZYDIS_MNEMONIC_VMASKMOVDQU;
  return masked_store && host.vector == x86::kPageFault;
}

/// CMPS whose operands both fault: which one says so is the processor's choice (AMD's differ with the repeat
/// prefix).
bool compares_in_other_order(const Case& test, const isa::Instruction& instruction, const Result& host) {
  const bool compare = instruction.klass == isa::Class::kString && (instruction.zydis.opcode & 0xfe) == 0xa6;
  const unsigned width = instruction.zydis.address_width;
  const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  const auto& gpr = host.after.gpr;
  return compare && test.repeated && host.vector == x86::kPageFault &&
         (host.address == (gpr[x86::kRsi] & mask) || host.address == (gpr[x86::kRdi] & mask));
}

std::string compare(const Case& test, const isa::Instruction& instruction, const Result& host,
                    const Result& ours) {
  if (faults_freely(instruction, host)) return {};
  if (host.vector != ours.vector)
    return fmt::format("vector: host {} ours {} (errors {:x} {:x}, addresses {:x} {:x})", host.vector,
                       ours.vector, host.error, ours.error, host.address, ours.address);
  // The host has its kernel mapped in the upper half, and says so.
  const uint64_t kernel = host.address >> 63 != 0 ? uint64_t{x86::kPfPresent} : 0;
  if (((host.error ^ ours.error) & ~kernel) != 0)
    return fmt::format("error code: host {:x} ours {:x}", host.error, ours.error);
  if (host.address != ours.address && !compares_in_other_order(test, instruction, host))
    return fmt::format("CR2: host {:x} ours {:x}", host.address, ours.address);
  if (host.after.rip != ours.after.rip)
    return fmt::format("rip: host {:x} ours {:x}", host.after.rip, ours.after.rip);
  for (unsigned i = 0; i < x86::kGprCount; ++i) {
    if (host.after.gpr[i] != ours.after.gpr[i] && !partial_registers(instruction, host))
      return fmt::format("gpr {}: host {:x} ours {:x}, was {:x}", i, host.after.gpr[i], ours.after.gpr[i],
                         test.before.gpr[i]);
  }
  const uint64_t flags = (host.after.flags ^ ours.after.flags) & ~unspecified_flags(instruction);
  if (flags != 0)
    return fmt::format("flags: host {:x} ours {:x}, was {:x}", host.after.flags, ours.after.flags,
                       test.before.flags);
  for (unsigned i = 0; i < kArenaSize; ++i) {
    if (host.arena[i] != ours.arena[i])
      return fmt::format("memory at {:x}: host {:02x} ours {:02x}", kArena + i, host.arena[i], ours.arena[i]);
  }
  if (partial_x87(instruction, host)) return {};
  return compare_extended(host.after, ours.after, interrupted_gather_mask(instruction, host));
}

/// A hypervisor may hide an instruction that the processor then carries out all the same. We refuse it, and
/// are right.
bool hidden(const isa::Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_MOVDIR64B:
      return (cpu::host_cpuid(7).ecx & x86::cpuid::kMovdir64b) == 0;
    case ZYDIS_MNEMONIC_CLZERO:
      return (cpu::host_cpuid(x86::cpuid::kAddressSizes).ebx & x86::cpuid::kClzero) == 0;
    default:
      return false;
  }
}

// By hand, for more than the tests of every day: EIDOLON_SEED for other cases, EIDOLON_TIMES for more.
uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 0);
}
uint64_t seed() { return from_environment("EIDOLON_SEED", 0xe1d0103); }
unsigned times() { return static_cast<unsigned>(from_environment("EIDOLON_TIMES", 1)); }

class Differential : public ::testing::TestWithParam<Parameter> {};

TEST_P(Differential, MatchesTheHostProcessor) {
  const Parameter& parameter = GetParam();
  NativeRunner host;
  EngineRunner engine(parameter.engine.name, parameter.engine.make);
  const cpu::CpuidResult vendor = cpu::host_cpuid(0);
  CaseGenerator generator(seed(), parameter.size, x86::vendor_of(vendor.ebx, vendor.ecx));
  const unsigned cases = parameter.cases * times();
  auto test = std::make_unique<Case>();
  auto expected = std::make_unique<Result>(), actual = std::make_unique<Result>();
  isa::Instruction instruction;
  unsigned faults = 0, differences = 0;
  for (unsigned i = 0; i < cases; ++i) {
    generator.next(parameter.klass, *test, instruction);
    if (hidden(instruction)) continue;
    host.run(*test, *expected);
    engine.run(*test, *actual);
    faults += expected->vector >= 0;
    const std::string difference = compare(*test, instruction, *expected, *actual);
    if (difference.empty()) continue;
    ADD_FAILURE() << "case " << i << ": " << disassemble(*test, instruction) << "  ["
                  << hex({test->code.data(), test->code_length}) << "]: " << difference;
    if (++differences == 40) break;
  }
  EXPECT_GT(faults, cases / 200) << "the cases hardly fault: they test too little";
  EXPECT_LT(faults, cases / 10 * 9) << "nearly all cases fault: they test too little";
}

constexpr auto k32 = isa::CodeSize::k32;
constexpr auto k64 = isa::CodeSize::k64;
const EngineUnderTest kStep{"step", make_step};

INSTANTIATE_TEST_SUITE_P(
    Step, Differential,
    ::testing::Values(Parameter{kStep, isa::Class::kInnocuous, k64, 30000, "Innocuous64"},
                      Parameter{kStep, isa::Class::kInnocuous, k32, 15000, "Innocuous32"},
                      Parameter{kStep, isa::Class::kControlFlow, k64, 5000, "Branches64"},
                      Parameter{kStep, isa::Class::kControlFlow, k32, 5000, "Branches32"},
                      Parameter{kStep, isa::Class::kStack, k64, 5000, "Stack64"},
                      Parameter{kStep, isa::Class::kStack, k32, 5000, "Stack32"},
                      Parameter{kStep, isa::Class::kString, k64, 5000, "Strings64"},
                      Parameter{kStep, isa::Class::kString, k32, 5000, "Strings32"},
                      Parameter{kStep, isa::Class::kImplicitMemory, k64, 5000, "Implicit64"},
                      Parameter{kStep, isa::Class::kImplicitMemory, k32, 5000, "Implicit32"}),
    [](const auto& parameter) { return std::string(parameter.param.label); });

}  // namespace
}  // namespace eidolon::differential
