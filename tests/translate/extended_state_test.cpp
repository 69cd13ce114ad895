// x87 and vector state across everything that takes it out of the host's registers: random programs that
// compute with it, leave for devices and step engine, and come back, on both engines.
#include <algorithm>
#include <array>
#include <random>

#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

using Code = std::vector<uint8_t>;

constexpr uint64_t kData = BareMachine::kData;
constexpr uint64_t kResults = kData + 0x4000;

void append(Code& code, const Code& more) { code.insert(code.end(), more.begin(), more.end()); }

const std::vector<Code> kComputing = {
    {0x66, 0x0f, 0xfe, 0xc1},                                      // paddd xmm0, xmm1
    {0x66, 0x0f, 0xef, 0xd0},                                      // pxor xmm2, xmm0
    {0x0f, 0x58, 0xcb},                                            // addps xmm1, xmm3
    {0xf2, 0x0f, 0x2a, 0xc8},                                      // cvtsi2sd xmm1, eax
    {0x66, 0x48, 0x0f, 0x6e, 0xe0},                                // movq xmm4, rax
    {0x66, 0x48, 0x0f, 0x7e, 0xe3},                                // movq rbx, xmm4
    {0xf3, 0x0f, 0x6f, 0x1f},                                      // movdqu xmm3, [rdi]
    {0xf3, 0x0f, 0x7f, 0x4f, 0x10},                                // movdqu [rdi + 16], xmm1
    {0x66, 0x0f, 0x2e, 0xc1, 0x72, 0x00, 0x48, 0x83, 0xd0, 0x01},  // ucomisd xmm0, xmm1; jb +0; adc rax, 1
    {0x0f, 0xae, 0x57, 0x20},                                      // ldmxcsr [rdi + 32]
    {0xd9, 0xe8},                                                  // fld1
    {0xd9, 0xeb},                                                  // fldpi
    {0xde, 0xc1},                                                  // faddp
    {0xd8, 0xc9},                                                  // fmul st, st(1)
    {0xd9, 0xc9},                                                  // fxch
    {0xdd, 0xd8},                                                  // fstp st
};
const std::vector<Code> kComputingWide = {
    {0xc5, 0xfd, 0xfe, 0xd9},        // vpaddd ymm3, ymm0, ymm1
    {0xc5, 0xf5, 0xef, 0xc2},        // vpxor ymm0, ymm1, ymm2
    {0xc5, 0xfe, 0x6f, 0x57, 0x40},  // vmovdqu ymm2, [rdi + 64]
    {0xc5, 0xfe, 0x7f, 0x47, 0x60},  // vmovdqu [rdi + 96], ymm0
};
const std::vector<Code> kElse = {
    {0xe4, 0x80},                                // in al, 0x80
    {0xe6, 0x80},                                // out 0x80, al
    {0x0f, 0xa2},                                // cpuid
    {0x48, 0x8b, 0x06},                          // mov rax, [rsi], across two pages
    {0x48, 0x01, 0x06},                          // add [rsi], rax
    {0x48, 0x03, 0x07, 0x48, 0x03, 0x47, 0x08},  // add rax, [rdi]; add rax, [rdi + 8]
    {0xeb, 0x00},                                // jmp +0
    {0x74, 0x00},                                // jz +0
    {0x48, 0x11, 0xc3},                          // adc rbx, rax
    {0xf5},                                      // cmc
    {0xe8, 0, 0, 0, 0, 0x5a},                    // call +0; pop rdx
    {0x0f, 0x30, 0x0f, 0x32},                    // wrmsr; rdmsr, with ecx as below
    // push rsi; push rdi; lea rsi, [rdi + 0x7f0]; mov ecx, 0x30; rep movsb, into the next page; pop rdi; pop
    // rsi
    {0x56, 0x57, 0x48, 0x8d, 0xb7, 0xf0, 0x07, 0, 0,    0x48, 0x81, 0xc7, 0xe0,
     0x0f, 0,    0,    0xb9, 0x30, 0,    0,    0, 0xf3, 0xa4, 0x5f, 0x5e},
};

/// XSAVEC64 or XRSTOR64 with some components, of an area in one page or two. What was never saved there is an
/// image in the standard format that has nothing.
Code move_state(std::mt19937_64& random, bool saves) {
  constexpr std::array<uint8_t, 6> kMasks{7, 3, 2, 5, 1, 0xff};
  constexpr std::array<uint16_t, 2> kAreas{0x2400, 0x2dc0};
  const uint8_t mask = kMasks[random() % kMasks.size()];
  const uint16_t area = kAreas[random() % kAreas.size()];
  Code code = {0xb8, mask, 0, 0, 0, 0x31, 0xd2};  // mov eax, mask; xor edx, edx
  append(code, saves ? Code{0x48, 0x0f, 0xc7, 0xa7} : Code{0x48, 0x0f, 0xae, 0xaf});
  append(code, {static_cast<uint8_t>(area), static_cast<uint8_t>(area >> 8), 0, 0});  // [rdi + area]
  return code;
}

/// Everything in registers goes to memory.
Code store_all(bool wide) {
  Code code = {0x49, 0xb8};  // mov r8, kResults
  for (unsigned i = 0; i < 8; ++i) code.push_back(static_cast<uint8_t>(kResults >> i * 8));
  for (unsigned reg = 0; reg < 8; ++reg) {
    const auto modrm = static_cast<uint8_t>(0x80 | reg << 3);  // [r8 + disp32]
    append(code, wide ? Code{0xc4, 0xc1, 0x7e, 0x7f, modrm} : Code{0xf3, 0x41, 0x0f, 0x7f, modrm});
    append(code, {static_cast<uint8_t>(reg * 32), 0, 0, 0});
  }
  append(code, {0x41, 0x0f, 0xae, 0x98, 0, 1, 0, 0});  // stmxcsr [r8 + 256]
  append(code, {0x41, 0xdd, 0xb8, 4, 1, 0, 0});        // fnstsw [r8 + 260]
  for (uint8_t i = 0; i < 8; ++i)                      // fstp tbyte [r8 + 272 + 16 i]
    append(code, {0x41, 0xdb, 0xb8, static_cast<uint8_t>(16 + i * 16), 1, 0, 0});
  return code;
}

Code program(std::mt19937_64& random, bool wide, bool moves) {
  Code code = {0xbd, 6, 0, 0, 0};  // mov ebp, 6
  const size_t start = code.size();
  const unsigned pieces = 3 + static_cast<unsigned>(random() % 25);
  for (unsigned i = 0; i < pieces; ++i) {
    const uint64_t kind = random() % 9;
    if (kind == 8 && moves)
      append(code, move_state(random, random() % 2 != 0));
    else if (kind < 4)
      append(code, kComputing[random() % kComputing.size()]);
    else if (kind == 4 && wide)
      append(code, kComputingWide[random() % kComputingWide.size()]);
    else {
      const Code& piece = kElse[random() % kElse.size()];
      // IA32_TSC_AUX, from edx:eax
      if (piece[0] == 0x0f && piece[1] == 0x30) append(code, {0xb9, 3, 1, 0, 0xc0, 0x31, 0xd2});
      append(code, piece);
    }
  }
  append(code, {0xff, 0xcd, 0x0f, 0x85});  // dec ebp; jnz
  const auto back = static_cast<uint32_t>(start - (code.size() + 4));
  for (unsigned i = 0; i < 4; ++i) code.push_back(static_cast<uint8_t>(back >> i * 8));
  append(code, store_all(wide));
  return code;
}

TEST(TranslateExtendedState, AgreesWithStepWhateverTakesItAway) {
  const bool wide = __builtin_cpu_supports("avx2") != 0;
  const bool moves = cpu::CpuidModel::create("host")->has(cpu::CpuidModel::Feature::kXsaveC);
  BareMachine stepped(false), translated(true);  // for all of them: to make one is dear under a sanitizer
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    std::array<std::array<uint8_t, 0x5000>, 2> memory{};
    unsigned i = 0;
    for (BareMachine* machine : {&stepped, &translated}) {
      std::mt19937_64 random(seed);
      std::array<uint64_t, 512> data{};
      for (uint64_t& word : data) word = random();
      data[4] = 0x1f80 | (random() & 0xe000);  // MXCSR
      ASSERT_TRUE(machine->memory().write(kData, data.data(), sizeof data));
      machine->state().gpr.fill(0);
      machine->state().gpr[x86::kRsp] = BareMachine::kStack;
      machine->state().gpr[x86::kRdi] = kData;
      machine->state().gpr[x86::kRsi] = kData + 0x1ffc;
      ASSERT_EQ(machine->run(program(random, wide, moves)), Stop::kRequested);
      ASSERT_TRUE(machine->memory().read(kData, memory[i].data(), memory[i].size()));
      ++i;
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    EXPECT_EQ(stepped.state().gpr, translated.state().gpr);
    EXPECT_EQ(stepped.state().rflags, translated.state().rflags);
    const auto [step, translate] = std::ranges::mismatch(memory[0], memory[1]);
    EXPECT_EQ(step, memory[0].end()) << "at " << step - memory[0].begin() << ": " << +*step << " and "
                                     << +*translate;
    if (HasFailure()) return;
  }
}

// A loop of IN and OUT in code that computes nothing with it does not load it each time.
TEST(TranslateExtendedState, StaysAwayWhileNobodyNeedsIt) {
  BareMachine machine(true);
  // mov ebp, 1000; 1: in al, 0x80; out 0x80, al; dec ebp; jnz 1b; pxor xmm0, xmm0; fld1
  EXPECT_EQ(machine.run({0xbd, 0xe8, 3, 0, 0, 0xe4, 0x80, 0xe6, 0x80, 0xff, 0xcd, 0x75, 0xf8, 0x66, 0x0f,
                         0xef, 0xc0, 0xd9, 0xe8}),
            Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[x86::kRbp], 0u);
  EXPECT_EQ(static_cast<TranslateEngine&>(machine.engine()).statistics().extended_loads, 1u);
}

}  // namespace
}  // namespace eidolon::engine
