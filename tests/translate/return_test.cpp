// Calls, returns and flags across them: predictions must never be seen, whatever becomes of the code, the
// stack or the mappings in between.
#include <chrono>
#include <random>
#include <thread>

#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

using Code = std::vector<uint8_t>;

void append(Code& code, const Code& more) { code.insert(code.end(), more.begin(), more.end()); }
void append_32(Code& code, uint64_t value) {
  for (unsigned i = 0; i < 4; ++i) code.push_back(static_cast<uint8_t>(value >> i * 8));
}

const translate::Statistics& statistics(BareMachine& machine) {
  return static_cast<TranslateEngine&>(machine.engine()).statistics();
}

void place(BareMachine& machine, uint64_t at, const Code& code) {
  ASSERT_TRUE(machine.memory().write(at, code.data(), code.size()));
}

// fib: cmp edi, 2; jb 1f; push rdi; dec edi; call fib; pop rdi; push rax; sub edi, 2; call fib; pop rdx;
// add eax, edx; ret; 1: mov eax, edi; ret
const Code kFibonacci = {0x83, 0xff, 0x02, 0x72, 0x1a, 0x57, 0xff, 0xcf, 0xe8, 0xf3, 0xff, 0xff,
                         0xff, 0x5f, 0x50, 0x83, 0xef, 0x02, 0xe8, 0xe9, 0xff, 0xff, 0xff, 0x5a,
                         0x01, 0xd0, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x89, 0xf8, 0xc3};
constexpr uint64_t kFunction = BareMachine::kCode + 0x10000;

/// mov eax, kFunction; call rax
const Code kCallFunction = {0xb8, 0x00, 0x00, 0x11, 0x00, 0xff, 0xd0};

TEST(TranslateReturn, RecursionIsPredicted) {
  BareMachine machine(true);
  place(machine, kFunction, kFibonacci);
  Code code = {0xbf, 15, 0, 0, 0};  // mov edi, 15
  append(code, kCallFunction);
  EXPECT_EQ(machine.run(code), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[x86::kRax], 610u);
  EXPECT_LT(statistics(machine).indirect_misses, 10u);
  EXPECT_LT(statistics(machine).dispatches, 100u);
}

TEST(TranslateReturn, GoesWhereTheStackSays) {
  BareMachine machine(true);
  // add qword [rsp], 2; ret: over the `inc ebx` behind the call.
  place(machine, kFunction, {0x48, 0x83, 0x04, 0x24, 0x02, 0xc3});
  Code code = {0x31, 0xdb, 0xb9, 100, 0, 0, 0};  // xor ebx, ebx; mov ecx, 100
  append(code, kCallFunction);
  append(code, {0xff, 0xc3, 0xff, 0xc9, 0x75, 0xf3});  // inc ebx; dec ecx; jnz: back to the call
  EXPECT_EQ(machine.run(code), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[x86::kRbx], 0u);
  EXPECT_EQ(machine.state().gpr[x86::kRcx], 0u);
}

TEST(TranslateReturn, ComesBackToCodeThatTheCalleeWrote) {
  BareMachine machine(true);
  // mov rdx, [rsp]; add byte [rdx + 1], 1; ret: the constant of the `mov bl, n` behind the call.
  place(machine, kFunction, {0x48, 0x8b, 0x14, 0x24, 0x80, 0x42, 0x01, 0x01, 0xc3});
  Code code = {0x31, 0xf6, 0xb9, 5, 0, 0, 0};  // xor esi, esi; mov ecx, 5
  append(code, kCallFunction);
  append(code, {0xb3, 0, 0x0f, 0xb6, 0xc3, 0x01, 0xc6});  // mov bl, 0; movzx eax, bl; add esi, eax
  append(code, {0xff, 0xc9, 0x75, 0xec});
  EXPECT_EQ(machine.run(code), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[x86::kRsi], 1u + 2 + 3 + 4 + 5);
}

// The callee maps another page where its caller was.
TEST(TranslateReturn, ComesBackToWhatIsMappedThen) {
  BareMachine machine(true);
  constexpr uint64_t kCaller = 0x600000, kOther = 0x800000;
  // 1: call r8; inc ebx; ret, and with `inc edx` in the other page.
  place(machine, kCaller, {0x41, 0xff, 0xd0, 0xff, 0xc3, 0xc3});
  place(machine, kOther, {0x41, 0xff, 0xd0, 0xff, 0xc2, 0xc3});
  // xor [rdi], rbp; invlpg [kCaller]; ret
  place(machine, kFunction, {0x48, 0x31, 0x2f, 0x0f, 0x01, 0x3c, 0x25, 0x00, 0x00, 0x60, 0x00, 0xc3});
  machine.state().gpr[x86::kR8] = kFunction;
  machine.state().gpr[x86::kRdi] = BareMachine::kTables + 0x2000 + (kCaller >> 21) * 8;
  machine.state().gpr[x86::kRbp] = kCaller ^ kOther;
  machine.state().gpr[x86::kRbx] = machine.state().gpr[x86::kRdx] = 0;
  Code code = {0xb9, 10, 0, 0, 0};  // mov ecx, 10; 1: mov eax, kCaller; call rax; dec ecx; jnz 1b
  append(code, {0xb8, 0x00, 0x00, 0x60, 0x00, 0xff, 0xd0, 0xff, 0xc9, 0x75, 0xf5});
  EXPECT_EQ(machine.run(code), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[x86::kRdx], 5u);
  EXPECT_EQ(machine.state().gpr[x86::kRbx], 5u);
}

// Each round is a return that is predicted, to code further down.
TEST(TranslateReturn, CannotLoopWithoutSeeingEvents) {
  BareMachine machine(true);
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    machine.cpu().events.raise(cpu::kEventStop);
  });
  // call 2f; 1: lea rsp, [rsp - 8]; 2: lea rax, [rip + (1b)]; mov [rsp], rax; ret
  EXPECT_EQ(machine.run({0xe8, 5,    0,    0,    0,    0x48, 0x8d, 0x64, 0x24, 0xf8, 0x48,
                         0x8d, 0x05, 0xf4, 0xff, 0xff, 0xff, 0x48, 0x89, 0x04, 0x24, 0xc3}),
            Stop::kRequested);
  stopper.join();
  EXPECT_LT(statistics(machine).dispatches, 20u);
}

// Nearly every block is translated for a return, so that the cache is often found full by one.
TEST(TranslateReturn, ComesBackWhenAllCodeHasGone) {
  constexpr unsigned kCalls = 4000;
  BareMachine machine(true, {.cache_bytes = 256 << 10, .observer = {}});
  place(machine, kFunction, {0xc3});
  Code code = {0x31, 0xdb};  // xor ebx, ebx; then call kFunction; inc ebx again and again
  for (unsigned i = 0; i < kCalls; ++i) {
    code.push_back(0xe8);
    append_32(code, kFunction - (BareMachine::kCode + code.size() + 4));
    append(code, {0xff, 0xc3});
  }
  EXPECT_EQ(machine.run(code), Stop::kRequested);
  EXPECT_EQ(machine.state().gpr[x86::kRbx], kCalls);
  EXPECT_GT(statistics(machine).flushes, 5u);
}

/// Functions of random pieces that read, write and pass on flags, touch memory, branch, and call later
/// functions.
class RandomFunctions {
 public:
  static constexpr unsigned kFunctions = 12, kSpacing = 0x100;

  explicit RandomFunctions(uint64_t seed) : random_(seed) {}

  Code function(unsigned index) {
    Code code;
    for (unsigned pieces = 2 + random_() % 8; pieces != 0; --pieces) {
      append(code, kPieces[random_() % kPieces.size()]);
      if (random_() % 3 == 0) {  // a jump over the next piece
        const Code& skipped = kPieces[random_() % kPieces.size()];
        code.push_back(static_cast<uint8_t>(0x70 | random_() % 16));
        code.push_back(static_cast<uint8_t>(skipped.size()));
        append(code, skipped);
      }
      if (random_() % 3 == 0 && index + 1 < kFunctions) call(code, index);
    }
    code.push_back(0xc3);
    return code;
  }

 private:
  void call(Code& code, unsigned from) {
    const unsigned callee = from + 1 + static_cast<unsigned>(random_() % std::min(3u, kFunctions - from - 1));
    if (random_() % 3 == 0) {  // mov esi, address; call rsi
      code.push_back(0xbe);
      append_32(code, kFunction + callee * kSpacing);
      append(code, {0xff, 0xd6});
    } else {
      code.push_back(0xe8);
      append_32(code, callee * kSpacing - (from * kSpacing + code.size() + 4));
    }
  }

  // rdi points to data throughout; rsi is for calls.
  inline static const std::vector<Code> kPieces = {
      {0x48, 0x11, 0xd8},                    // adc rax, rbx
      {0x48, 0x01, 0xc3},                    // add rbx, rax
      {0x48, 0xff, 0xc1},                    // inc rcx
      {0xf5},                                // cmc
      {0x48, 0x89, 0x47, 0x08},              // mov [rdi + 8], rax
      {0x48, 0x8b, 0x57, 0x08},              // mov rdx, [rdi + 8]
      {0x48, 0x13, 0x57, 0x10},              // adc rdx, [rdi + 16]
      {0x48, 0x19, 0x5f, 0x10},              // sbb [rdi + 16], rbx
      {0x0f, 0x92, 0xc3},                    // setc bl
      {0x0f, 0x90, 0x47, 0x01},              // seto [rdi + 1]
      {0x50, 0x59},                          // push rax; pop rcx
      {0x49, 0x89, 0xc1},                    // mov r9, rax
      {0x4d, 0x01, 0xca},                    // add r10, r9
      {0x4d, 0x89, 0xd3, 0x4c, 0x03, 0x1f},  // mov r11, r10; add r11, [rdi]
      {0x48, 0xd3, 0xc0},                    // rol rax, cl
      {0x48, 0x8d, 0x04, 0x18},              // lea rax, [rax + rbx]
      {0x9e, 0x9f},                          // sahf; lahf
      // push rax; push rbx; mov rcx, rax; pop rdx; pop rbx
      {0x50, 0x53, 0x48, 0x89, 0xc1, 0x5a, 0x5b},
      // sub rsp, 24; push rcx; mov [rsp + 8], rax; pop rbx; pop rcx; add rsp, 16
      {0x48, 0x83, 0xec, 24, 0x51, 0x48, 0x89, 0x44, 0x24, 8, 0x5b, 0x59, 0x48, 0x83, 0xc4, 16},
      // push rsp; push -5; lea rcx, [rsp + 8]; pop r10; pop r9
      {0x54, 0x6a, 0xfb, 0x48, 0x8d, 0x4c, 0x24, 8, 0x41, 0x5a, 0x41, 0x59},
      // push rdx; push [rdi]; pop [rdi + 8]; sub rsp, 8; lea rsp, [rsp + 16]
      {0x52, 0xff, 0x37, 0x8f, 0x47, 8, 0x48, 0x83, 0xec, 8, 0x48, 0x8d, 0x64, 0x24, 16},
      // push rbx; lea rbx, [rsp + 8]; push rbx; pop rsp; mov rbx, [rsp - 8]
      {0x53, 0x48, 0x8d, 0x5c, 0x24, 8, 0x53, 0x5c, 0x48, 0x8b, 0x5c, 0x24, 0xf8},
      // push rbp; mov rbp, rsp; push rax; push rcx; leave
      {0x55, 0x48, 0x89, 0xe5, 0x50, 0x51, 0xc9},
  };
  std::mt19937_64 random_;
};

TEST(TranslateReturn, RandomFunctionsAgreeWithStep) {
  for (uint64_t seed = 1; seed <= 120; ++seed) {
    BareMachine stepped(false);
    BareMachine translated(true);
    for (BareMachine* machine : {&stepped, &translated}) {
      RandomFunctions functions(seed);
      for (unsigned i = 0; i < RandomFunctions::kFunctions; ++i)
        place(*machine, kFunction + i * RandomFunctions::kSpacing, functions.function(i));
      for (unsigned i = 0; i < 16; ++i)
        if (i != x86::kRsp) machine->state().gpr[i] = seed * 0x9e3779b97f4a7c15u * (i + 1);
      machine->state().gpr[x86::kRdi] = BareMachine::kData;
      machine->state().gpr[x86::kRsp] = BareMachine::kStack + seed % 32 * 8;  // on both sides of a page's end
      Code code = {0xbd, 6, 0, 0, 0};  // mov ebp, 6; 1: mov eax, kFunction; call rax; dec ebp; jnz 1b
      append(code, kCallFunction);
      append(code, {0xff, 0xcd, 0x75, 0xf5});
      ASSERT_EQ(machine->run(code), Stop::kRequested);
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ASSERT_EQ(stepped.state().gpr, translated.state().gpr);
    ASSERT_EQ(stepped.state().rflags, translated.state().rflags);
  }
}

}  // namespace
}  // namespace eidolon::engine
