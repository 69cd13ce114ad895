// Divisions that raise #DE, CPUID and CR8 in generated code, against the step engine.
#include <random>

#include "cpu/interrupt_source.h"
#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

using Code = std::vector<uint8_t>;

constexpr uint64_t kIdt = 0x20000, kGdt = 0x21000;
constexpr uint64_t kHandler = BareMachine::kCode + 0x8000;
constexpr uint64_t kData = BareMachine::kData;

void append(Code& code, const Code& more) { code.insert(code.end(), more.begin(), more.end()); }

const translate::Statistics& statistics(BareMachine& machine) {
  return static_cast<TranslateEngine&>(machine.engine()).statistics();
}

/// Every exception and interrupt goes to a handler that takes RIP to r8 and RFLAGS to r9 and stops; with an
/// error code, what is above it.
void catch_everything(BareMachine& machine) {
  const auto put = [&](uint64_t at, uint64_t value) {
    ASSERT_TRUE(machine.memory().write(at, &value, sizeof value));
  };
  put(kGdt + 8, 0x00af9b000000ffff);
  put(kGdt + 16, 0x00cf93000000ffff);
  for (uint64_t vector = 0; vector < 256; ++vector) {
    put(kIdt + vector * 16, (kHandler & 0xffff) | 8u << 16 | uint64_t{0x8e00} << 32 | kHandler >> 16 << 48);
    put(kIdt + vector * 16 + 8, 0);
  }
  machine.state().gdtr = {.base = kGdt, .limit = 0x17};
  machine.state().idtr = {.base = kIdt, .limit = 0xfff};
  const Code handler = {0x41, 0x58, 0x41, 0x5a, 0x41, 0x59, 0xe6, 0xf4, 0xeb, 0xfe};
  ASSERT_TRUE(machine.memory().write(kHandler, handler.data(), handler.size()));
}

/// But for arithmetic flags that the code overwrites unread behind an exception or interrupt (builder.h), if
/// the handler was run: it has them in r9.
void expect_same(BareMachine& a, BareMachine& b, bool flags_matter = true) {
  if (!flags_matter)
    for (BareMachine* machine : {&a, &b}) {
      machine->state().gpr[x86::kR9] &= ~x86::kFlagsArithmetic;
      machine->state().rflags &= ~x86::kFlagsArithmetic;
    }
  EXPECT_EQ(a.state().gpr, b.state().gpr);
  EXPECT_EQ(a.state().rip, b.state().rip);
  EXPECT_EQ(a.state().rflags, b.state().rflags);
}

class Divisions {
 public:
  explicit Divisions(uint64_t seed) : random_(seed) {}

  /// One DIV or IDIV, and something behind it that reads the flags, overwrites them or does neither.
  Code program() {
    const bool is_signed = pick(2) != 0;
    const uint8_t extension = static_cast<uint8_t>(is_signed ? 7 : 6) << 3;
    Code code;
    const unsigned width = pick(4);
    if (width == 1) code.push_back(0x66);
    if (width == 3) code.push_back(0x48);
    code.push_back(width == 0 ? 0xf6 : 0xf7);
    static constexpr uint8_t kOperands[] = {0xc3, 0xc1, 0xc2, 0xc0, 0xc7, 0x07, 0x47};
    const uint8_t operand = kOperands[pick(7)];
    code.push_back(operand | extension);
    if (operand == 0x47) code.push_back(0x10);
    static const Code kBehind[] = {{0x0f, 0x92, 0xc1}, {0x31, 0xf6}, {}, {0x48, 0x8b, 0x37}};
    const unsigned behind = pick(4);
    flags_matter_ = behind != 1;
    append(code, kBehind[behind]);
    return code;
  }
  [[nodiscard]] bool flags_matter() const { return flags_matter_; }
  void set_up(cpu::State& state) {
    for (const unsigned reg : {x86::kRax, x86::kRbx, x86::kRcx, x86::kRdx}) state.gpr[reg] = value();
    state.gpr[x86::kRdi] = kData;
    state.rflags = 2 | (random_() & x86::kFlagsArithmetic);
  }
  uint64_t value() {
    static constexpr uint64_t kValues[] = {0,    1,      2,          ~uint64_t{0},
                                           0x80, 0x8000, 0x80000000, uint64_t{1} << 63};
    return pick(3) == 0 ? random_() : kValues[pick(8)];
  }

 private:
  unsigned pick(unsigned count) { return static_cast<unsigned>(random_() % count); }
  std::mt19937_64 random_;
  bool flags_matter_ = true;
};

TEST(TranslateProcessor, DivisionsAgreeWithStep) {
  BareMachine stepped(false), translated(true);  // for all of them: to make one is dear under a sanitizer
  for (BareMachine* machine : {&stepped, &translated}) catch_everything(*machine);
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    Stop stops[2];
    unsigned i = 0;
    bool flags_matter = true;
    for (BareMachine* machine : {&stepped, &translated}) {
      machine->state().gpr.fill(0);
      machine->state().gpr[x86::kRsp] = BareMachine::kStack;
      Divisions divisions(seed);
      const Code code = divisions.program();
      divisions.set_up(machine->state());
      flags_matter = divisions.flags_matter();
      const std::array<uint64_t, 3> data = {divisions.value(), 5, divisions.value()};
      ASSERT_TRUE(machine->memory().write(kData, data.data(), sizeof data));
      stops[i++] = machine->run(code);
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ASSERT_EQ(stops[0], stops[1]);
    expect_same(stepped, translated, flags_matter);
    if (HasFailure()) return;
  }
  EXPECT_GT(statistics(translated).divide_errors, 300u);
  EXPECT_GT(statistics(translated).host_faults, 10u);  // IDIV without room
}

// xor edx, edx; div ecx, where ecx is 0
TEST(TranslateProcessor, ADivisionByZeroIsNoSignalOfTheHost) {
  BareMachine machine(true);
  catch_everything(machine);
  EXPECT_EQ(machine.run({0x31, 0xc9, 0x31, 0xd2, 0xf7, 0xf1}), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[x86::kR8], BareMachine::kCode + 4);
  EXPECT_EQ(statistics(machine).divide_errors, 1u);
  EXPECT_EQ(statistics(machine).host_faults, 0u);
}

/// Asks for leaves esi = 0.. and subleaves r12d = 0.., and mixes the answers into r8; ebp times.
Code ask_all() {
  return {0xbd, 3,    0,    0, 0,           // mov ebp, 3
          0x45, 0x31, 0xed,                 // 1: xor r13d, r13d
          0x31, 0xf6,                       // 2: xor esi, esi
          0x45, 0x31, 0xe4,                 // 3: xor r12d, r12d
          0x44, 0x89, 0xe8,                 // 4: mov eax, r13d
          0x01, 0xf0,                       // add eax, esi
          0x44, 0x89, 0xe1,                 // mov ecx, r12d
          0x0f, 0xa2,                       // cpuid
          0x49, 0xc1, 0xc0, 7,              // rol r8, 7
          0x49, 0x31, 0xc0,                 // xor r8, rax
          0x49, 0x01, 0xd8,                 // add r8, rbx
          0x49, 0xc1, 0xc0, 9,              // rol r8, 9
          0x49, 0x31, 0xc8,                 // xor r8, rcx
          0x49, 0x01, 0xd0,                 // add r8, rdx
          0x41, 0xff, 0xc4,                 // inc r12d
          0x41, 0x83, 0xfc, 5,              // cmp r12d, 5
          0x72, 0xd9,                       // jb 4b
          0xff, 0xc6,                       // inc esi
          0x83, 0xfe, 0x18,                 // cmp esi, 0x18
          0x72, 0xcf,                       // jb 3b
          0x41, 0x81, 0xc5, 0, 0, 0, 0x40,  // add r13d, 0x40000000
          0x41, 0x81, 0xfd, 0, 0, 0, 0xc0,  // cmp r13d, 0xc0000000
          0x75, 0xbd,                       // jne 2b
          0xff, 0xcd,                       // dec ebp
          0x75, 0xb6};                      // jnz 1b
}

TEST(TranslateProcessor, CpuidAgreesWithStep) {
  BareMachine stepped(false), translated(true);
  for (BareMachine* machine : {&stepped, &translated}) {
    Code code = ask_all();
    // With other answers: CR4.OSXSAVE clear, then set and XCR0 with x87 only.
    append(code, {0x0f, 0x20, 0xe0, 0x48, 0x0f, 0xba, 0xf0, 18, 0x0f, 0x22, 0xe0});
    append(code, ask_all());
    append(code, {0x0f, 0x20, 0xe0, 0x48, 0x0f, 0xba, 0xe8, 18, 0x0f, 0x22, 0xe0});
    append(code, {0x31, 0xd2, 0x31, 0xc9, 0xb8, 1, 0, 0, 0, 0x0f, 0x01, 0xd1});
    append(code, ask_all());
    EXPECT_EQ(machine->run(code), Stop::kRequested);
  }
  expect_same(stepped, translated);
}

TEST(TranslateProcessor, CpuidStaysInGeneratedCode) {
  BareMachine machine(true);
  // mov ebp, 1000; 1: xor eax, eax; xor ecx, ecx; cpuid; mov eax, 7; xor ecx, ecx; cpuid; dec ebp; jnz 1b
  EXPECT_EQ(machine.run({0xbd, 0xe8, 3, 0, 0,    0x31, 0xc0, 0x31, 0xc9, 0x0f, 0xa2, 0xb8,
                         7,    0,    0, 0, 0x31, 0xc9, 0x0f, 0xa2, 0xff, 0xcd, 0x75, 0xed}),
            Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[x86::kRbp], 0u);
  EXPECT_LT(statistics(machine).sensitive, 10u);
}

/// What a local APIC with one pending vector looks like to its processor.
class OneInterrupt final : public cpu::InterruptSource {
 public:
  OneInterrupt(cpu::EventFlags& events, uint8_t vector) : events_(events), vector_(vector) {
    events.priority.waiting = vector & 0xf0;
  }
  bool interrupt_pending() override { return !taken_ && (vector_ & 0xf0) > (events_.priority.task & 0xf0); }
  std::optional<uint8_t> acknowledge() override {
    if (!interrupt_pending()) return std::nullopt;
    taken_ = true;
    events_.priority.waiting = 0;
    return vector_;
  }
  uint8_t task_priority() override { return events_.priority.task >> 4; }
  void set_task_priority(uint8_t cr8) override {
    events_.priority.task = static_cast<uint8_t>(cr8 << 4);
    if (interrupt_pending()) events_.raise(cpu::kEventInterrupt);
  }
  bool shares_priority() const override { return true; }
  cpu::Outcome<uint64_t> read_msr(uint32_t) override { return 0; }
  cpu::Outcome<> write_msr(uint32_t, uint64_t) override { return {}; }
  void init() override {}

 private:
  cpu::EventFlags& events_;
  const uint8_t vector_;
  bool taken_ = false;
};

/// Random moves to CR8 (rarely of what is too much), and from it, some of them with interrupts shut out.
Code move_priorities(std::mt19937_64& random) {
  Code code;
  for (unsigned i = 0; i < 12; ++i) {
    const auto value = static_cast<uint8_t>(random() % 60 == 0 ? 16 : 4 + random() % 12);
    static const Code kPieces[] = {
        {0x44, 0x0f, 0x20, 0xc3},                   // mov rbx, cr8
        {0x45, 0x0f, 0x20, 0xc5},                   // mov r13, cr8
        {0xfa},                                     // cli
        {0xfb, 0x90},                               // sti; nop
        {0x48, 0x11, 0xd9},                         // adc rcx, rbx
        {0x48, 0xc1, 0xc1, 3, 0x48, 0x83, 0xc1, 7}  // rol rcx, 3; add rcx, 7
    };
    append(code, {0xbe, value, 0, 0, 0, 0x44, 0x0f, 0x22, 0xc6});  // mov esi, value; mov cr8, rsi
    append(code, kPieces[random() % 6]);
  }
  return code;
}

TEST(TranslateProcessor, Cr8AgreesWithStep) {
  unsigned interrupted = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    BareMachine stepped(false), translated(true);
    for (BareMachine* machine : {&stepped, &translated}) {
      std::mt19937_64 random(seed);
      catch_everything(*machine);
      machine->state().rflags = 2 | x86::kFlagIf | (random() & x86::kFlagsArithmetic);
      machine->cpu().events.priority.task = 0xf0;
      OneInterrupt interrupt(machine->cpu().events, static_cast<uint8_t>(0x41 + random() % 12 * 16));
      machine->cpu().interrupts = &interrupt;
      EXPECT_EQ(machine->run(move_priorities(random)), Stop::kRequested);
      machine->cpu().interrupts = nullptr;
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    expect_same(stepped, translated, false);
    EXPECT_EQ(stepped.cpu().events.priority.task, translated.cpu().events.priority.task);
    if (HasFailure()) return;
    if (translated.state().gpr[x86::kR8] != 0) ++interrupted;
  }
  EXPECT_GT(interrupted, 20u);
  EXPECT_LT(interrupted, 60u);
}

TEST(TranslateProcessor, Cr8StaysInGeneratedCode) {
  BareMachine machine(true);
  OneInterrupt interrupt(machine.cpu().events, 0x11);
  machine.cpu().interrupts = &interrupt;
  // mov ebp, 1000; 1: mov eax, 9; mov cr8, rax; mov eax, 2; mov cr8, rax; mov rbx, cr8; dec ebp; jnz 1b
  EXPECT_EQ(
      machine.run({0xbd, 0xe8, 3, 0,    0,    0xb8, 9,    0,    0,    0,    0x44, 0x0f, 0x22, 0xc0, 0xb8, 2,
                   0,    0,    0, 0x44, 0x0f, 0x22, 0xc0, 0x44, 0x0f, 0x20, 0xc3, 0xff, 0xcd, 0x75, 0xe6}),
      Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[x86::kRbp], 0u);
  EXPECT_EQ(machine.state().gpr[x86::kRbx], 2u);
  EXPECT_LT(statistics(machine).sensitive, 5u);
  machine.cpu().interrupts = nullptr;
}

}  // namespace
}  // namespace eidolon::engine
