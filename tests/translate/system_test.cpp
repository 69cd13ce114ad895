// Sensitive instructions that generated code does by itself, against the routines of cpu/: random kernels and
// user programs with SYSCALL, SYSRET, POPF, STAC, CLAC and their kin, on both engines.
#include <random>

#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

using Code = std::vector<uint8_t>;

constexpr uint64_t kKernelEntry = BareMachine::kCode + 0x8000;
constexpr uint64_t kUser = 0x600000;
constexpr uint64_t kUserData = 0x800000;
constexpr uint64_t kKernelData = BareMachine::kData;

void append(Code& code, const Code& more) { code.insert(code.end(), more.begin(), more.end()); }
void append_32(Code& code, uint64_t value) {
  for (unsigned i = 0; i < 4; ++i) code.push_back(static_cast<uint8_t>(value >> i * 8));
}

const translate::Statistics& statistics(BareMachine& machine) {
  return static_cast<TranslateEngine&>(machine.engine()).statistics();
}

/// Supervisor pages but for the user's code and data; SMAP and FSGSBASE.
void prepare(BareMachine& machine) {
  for (uint64_t i = 0; i < BareMachine::kRam >> 21; ++i) {
    const uint64_t address = i << 21;
    const uint64_t entry = address | (address == kUser || address == kUserData ? 0x87 : 0x83);
    ASSERT_TRUE(machine.memory().write(BareMachine::kTables + 0x2000 + i * 8, &entry, sizeof entry));
  }
  cpu::State& s = machine.state();
  s.control.cr4 |= x86::kCr4Smap | x86::kCr4FsGsBase;
  s.star = uint64_t{0x23} << 48 | uint64_t{0x10} << 32;
  s.lstar = kKernelEntry;
  s.gpr[x86::kRdi] = kKernelData;
  s.gpr[x86::kRsi] = kUserData;
  s.kernel_gs_base = 0x1234000;
}

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  uint64_t next() { return random_(); }

  Code pieces(const std::vector<Code>& from, unsigned count) {
    Code code;
    while (count-- != 0) append(code, from[random_() % from.size()]);
    return code;
  }

  /// mov eax, flags; push rax; popfq. TF would end the program.
  Code load_flags(bool with_ac) {
    uint64_t flags = random_() & (x86::kFlagsArithmetic | x86::kFlagIf | x86::kFlagDf | x86::kFlagIopl |
                                  x86::kFlagNt | x86::kFlagId | x86::kFlagRf | x86::kFlagVif | 2);
    if (with_ac && random_() % 4 == 0) flags |= x86::kFlagAc;
    Code code = {0xb8};
    append_32(code, flags);
    append(code, {0x50, 0x9d});
    return code;
  }

  inline static const std::vector<Code> kUserPieces = {
      {0x48, 0x11, 0xd8},              // adc rax, rbx
      {0x48, 0x29, 0xc3},              // sub rbx, rax
      {0xf5},                          // cmc
      {0x0f, 0x92, 0xc2},              // setc dl
      {0x4c, 0x01, 0xd0},              // add rax, r10
      {0x4d, 0x89, 0xc1},              // mov r9, r8
      {0x4d, 0x01, 0xc8},              // add r8, r9
      {0x4c, 0x89, 0x1e},              // mov [rsi], r11
      {0x48, 0x89, 0x4e, 0x08},        // mov [rsi + 8], rcx
      {0xf3, 0x48, 0x0f, 0xae, 0xc2},  // rdfsbase rdx
      {0xf3, 0x0f, 0xae, 0xcb},        // rdgsbase ebx
      {0xf3, 0x0f, 0xae, 0xd0},        // wrfsbase eax
      {0xf3, 0x48, 0x0f, 0xae, 0xd9},  // wrgsbase rcx
      {0x66, 0x8c, 0xd0},              // mov ax, ss
      {0x8c, 0xcb},                    // mov ebx, cs
      {0x48, 0x8c, 0xda},              // mov rdx, ds
      {0x66, 0x41, 0x8c, 0xc8},        // mov r8w, cs
      {0xfd},
      {0xfc},
  };
  inline static const std::vector<Code> kKernelPieces = {
      {0x48, 0x11, 0xd8},                                            // adc rax, rbx
      {0x48, 0x29, 0xc3},                                            // sub rbx, rax
      {0xf5},                                                        // cmc
      {0x48, 0x13, 0x1f},                                            // adc rbx, [rdi]
      {0x48, 0x01, 0x47, 0x08},                                      // add [rdi + 8], rax
      {0x9c, 0x5a},                                                  // pushfq; pop rdx
      {0xfa},                                                        // cli
      {0xfb, 0x90},                                                  // sti; nop
      {0x0f, 0x01, 0xf8},                                            // swapgs
      {0xf3, 0x48, 0x0f, 0xae, 0xc8},                                // rdgsbase rax
      {0xf3, 0x0f, 0xae, 0xd3},                                      // wrfsbase ebx
      {0x0f, 0x01, 0xcb, 0x48, 0x8b, 0x06, 0x0f, 0x01, 0xca},        // stac; mov rax, [rsi]; clac
      {0x0f, 0x01, 0xcb, 0x48, 0x11, 0x5e, 0x10, 0x0f, 0x01, 0xca},  // stac; adc [rsi + 16], rbx; clac
      {0x0f, 0x01, 0xca},                                            // clac
      {0x4d, 0x01, 0xc8},                                            // add r8, r9
  };

 private:
  std::mt19937_64 random_;
};

/// In ring 0: ebp rounds of pieces in user code, a system call, pieces in the kernel.
void load_rounds(BareMachine& machine, uint64_t seed, Code& start) {
  Generator generator(seed);
  cpu::State& s = machine.state();
  s.fmask = generator.next() & (x86::kFlagsDefined | x86::kFlagTf);
  if (seed % 4 != 0) s.fmask |= x86::kFlagAc;
  for (const unsigned reg : {x86::kRax, x86::kRbx, x86::kRdx, x86::kR8, x86::kR9, x86::kR10})
    s.gpr[reg] = generator.next();

  Code user = generator.pieces(Generator::kUserPieces, 1 + static_cast<unsigned>(seed % 6));
  append(user, {0x0f, 0x05, 0x0f, 0x0b});  // syscall; ud2

  Code kernel = generator.pieces(Generator::kKernelPieces, 1 + static_cast<unsigned>(seed % 7));
  if (seed % 3 == 0) append(kernel, generator.load_flags(seed % 2 == 0));
  append(kernel, generator.pieces(Generator::kKernelPieces, static_cast<unsigned>(seed % 3)));
  append(kernel, {0xff, 0xcd, 0x74, 0x00});  // dec ebp; jz to the end
  const size_t jump = kernel.size();
  const auto to_user = [&] {
    Code code = {0xb9};  // mov ecx, user; mov r11d, flags; sysretq
    append_32(code, kUser);
    append(code, {0x41, 0xbb});
    append_32(code, generator.next() & (x86::kFlagsDefined & ~(x86::kFlagTf | x86::kFlagAc)));
    append(code, {0x48, 0x0f, 0x07});
    return code;
  };
  append(kernel, to_user());
  kernel[jump - 1] = static_cast<uint8_t>(kernel.size() - jump);
  append(kernel, {0xe6, 0xf4, 0xeb, 0xfe});
  ASSERT_TRUE(machine.memory().write(kUser, user.data(), user.size()));
  ASSERT_TRUE(machine.memory().write(kKernelEntry, kernel.data(), kernel.size()));
  start = {0xbd, 12, 0, 0, 0};
  append(start, to_user());
}

void expect_same(BareMachine& a, BareMachine& b) {
  const cpu::State &x = a.state(), &y = b.state();
  EXPECT_EQ(x.gpr, y.gpr);
  EXPECT_EQ(x.rip, y.rip);
  EXPECT_EQ(x.rflags, y.rflags);
  EXPECT_EQ(x.kernel_gs_base, y.kernel_gs_base);
  for (unsigned i = 0; i < x86::kSegmentCount; ++i) {
    EXPECT_EQ(x.segment[i].selector, y.segment[i].selector);
    EXPECT_EQ(x.segment[i].attributes, y.segment[i].attributes);
    EXPECT_EQ(x.segment[i].limit, y.segment[i].limit);
    EXPECT_EQ(x.segment[i].base, y.segment[i].base);
  }
  for (const uint64_t data : {kKernelData, kUserData}) {
    std::array<uint64_t, 4> one{}, other{};
    ASSERT_TRUE(a.memory().read(data, one.data(), sizeof one));
    ASSERT_TRUE(b.memory().read(data, other.data(), sizeof other));
    EXPECT_EQ(one, other);
  }
}

TEST(TranslateSystem, SystemCallsAgreeWithStep) {
  for (uint64_t seed = 1; seed <= 120; ++seed) {
    BareMachine stepped(false), translated(true);
    Stop stops[2];
    unsigned i = 0;
    for (BareMachine* machine : {&stepped, &translated}) {
      prepare(*machine);
      Code start;
      load_rounds(*machine, seed, start);
      stops[i++] = machine->run(start);
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ASSERT_EQ(stops[0], stops[1]);
    expect_same(stepped, translated);
    if (HasFailure()) return;
  }
}

TEST(TranslateSystem, SystemCallsStayInGeneratedCode) {
  BareMachine machine(true);
  prepare(machine);
  machine.state().fmask = x86::kFlagsDefined & ~x86::kFlagIopl;
  const Code user = {0x0f, 0x05};
  // dec ebp; jz 1f; pushfq; popfq; mov rax, [rdi]; sysretq; 1: out 0xf4, al
  const Code kernel = {0xff, 0xcd, 0x74, 0x08, 0x9c, 0x9d, 0x48, 0x8b,
                       0x07, 0x48, 0x0f, 0x07, 0xe6, 0xf4, 0xeb, 0xfe};
  ASSERT_TRUE(machine.memory().write(kUser, user.data(), user.size()));
  ASSERT_TRUE(machine.memory().write(kKernelEntry, kernel.data(), kernel.size()));
  // mov ebp, 1000; mov ecx, user; mov r11d, 2; sysretq; the user's code goes on behind its syscall: a jump
  // back
  ASSERT_TRUE(machine.memory().write(kUser + 2, "\xeb\xfc", 2));
  Code start = {0xbd, 0xe8, 3, 0, 0, 0xb9};
  append_32(start, kUser);
  append(start, {0x41, 0xbb, 2, 0, 0, 0, 0x48, 0x0f, 0x07});
  EXPECT_EQ(machine.run(start), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[x86::kRbp], 0u);
  EXPECT_LT(statistics(machine).sensitive, 20u);
}

// With SMAP a supervisor's access to a user page faults unless AC is set, whatever ran before.
TEST(TranslateSystem, WhatStacLetInIsOutAfterClac) {
  for (const bool clears : {false, true}) {
    BareMachine machine(true);
    prepare(machine);
    // mov ecx, 100; 1: stac; mov rax, [rsi]; clac (or nop); mov rbx, [rdi]; loop 1b; mov rdx, [rsi]
    Code code = {0xb9, 100,  0,    0,    0,    0x0f, 0x01, 0xcb, 0x48, 0x8b, 0x06, 0x0f,
                 0x01, 0xca, 0x48, 0x8b, 0x1f, 0xff, 0xc9, 0x75, 0xf0, 0x48, 0x8b, 0x16};
    if (!clears) code[11] = code[12] = code[13] = 0x90;
    EXPECT_EQ(machine.run(code), clears ? Stop::kShutdown : Stop::kRequested);
    EXPECT_EQ(machine.state().gpr[x86::kRcx], 0u);
    EXPECT_LT(statistics(machine).sensitive, 5u) << "STAC and CLAC stay in generated code";
  }
}

// The same page, writable by either: what one view was told of it must not serve the other, whichever came
// first.
TEST(TranslateSystem, SmapHoldsForPagesThatBothViewsMeet) {
  for (const bool stores : {false, true}) {
    BareMachine machine(true);
    prepare(machine);
    // mov ecx, 50; 1: stac; mov rax, [rsi] or its reverse; clac; mov rbx, [rdi] or its reverse; loop 1b
    Code code = {0xb9, 50,   0,    0,    0,    0x0f, 0x01, 0xcb, 0x48, 0x8b, 0x06,
                 0x0f, 0x01, 0xca, 0x48, 0x8b, 0x1f, 0xff, 0xc9, 0x75, 0xf0};
    if (stores) code[9] = code[15] = 0x89;
    // The supervisor's page becomes the user's, as its entry and INVLPG say: now even [rdi] faults.
    append(code, {0x80, 0x4d, 0x00, 0x04, 0x0f, 0x01, 0x3f, 0xff, 0xc1, 0x48, 0x8b, 0x1f});
    machine.state().gpr[x86::kRbp] = BareMachine::kTables + 0x2000 + (kKernelData >> 21) * 8;
    EXPECT_EQ(machine.run(code), Stop::kShutdown);
    EXPECT_EQ(machine.state().gpr[x86::kRcx], 1u);
    EXPECT_LT(statistics(machine).sensitive, 5u);
  }
}

}  // namespace
}  // namespace eidolon::engine
