// Groups of memory accesses off the same base registers, on the step engine and on the translator, which
// shares the checks of such groups: pages that are missing or read only, spans that lie in two pages, faults
// in the middle, the stack over a page boundary; in loops, so that what a block has learnt is used again.
// Registers, flags, vector state, memory and page tables (accessed and dirty bits) must agree.
#include "engine/translate/spans.h"
#include "engine/translate/analysis.h"
#include "translate/paged_window.h"

namespace eidolon::engine {
namespace {

/// Appends instructions that are the same in 32- and in 64-bit code, but for REX prefixes.
class Program {
 public:
  /// `relative`: addresses without a register are relative to RIP.
  Program(uint64_t seed, bool wide, bool relative = false)
      : random_(seed), wide_(wide), relative_(relative) {}

  std::vector<uint8_t> make(unsigned instructions) {
    put({0xbd, pick(3) ? 3u : 80u, 0, 0, 0});  // mov ebp: the loop's count
    const size_t start = code_.size();
    for (unsigned i = 0; i < instructions; ++i) add_one();
    put({0xff, 0xcd, 0x0f, 0x85});  // dec ebp; jnz
    const auto back = static_cast<uint32_t>(start - (code_.size() + 4));
    put32(back);
    return code_;
  }

 private:
  uint64_t pick(uint64_t count) { return random_() % count; }
  void put(std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) code_.push_back(static_cast<uint8_t>(byte));
  }
  void put32(uint32_t value) {
    for (unsigned i = 0; i < 4; ++i) code_.push_back(static_cast<uint8_t>(value >> 8 * i));
  }
  /// rax, rcx, rdx or, with a prefix, r8 to r15.
  unsigned data_register() {
    return wide_ && pick(2) ? 8 + static_cast<unsigned>(pick(8)) : static_cast<unsigned>(pick(3));
  }
  unsigned base_register() {
    constexpr unsigned kBases[] = {3, 6, 4};  // rbx, rsi, rsp
    return kBases[pick(3)];
  }
  int displacement() {
    if (pick(6) == 0) return static_cast<int>(pick(1400)) - 700;
    return (static_cast<int>(pick(24)) - 8) * 8 + (pick(4) == 0 ? static_cast<int>(pick(8)) : 0);
  }
  /// Prefixes, opcode and a memory operand.
  void memory(std::initializer_list<unsigned> prefixes, std::initializer_list<unsigned> opcode, unsigned reg,
              bool may_widen = true) {
    put(prefixes);
    const unsigned rex = (wide_ && may_widen && pick(2) ? 8 : 0) | (reg >= 8 ? 4 : 0);
    if (rex != 0) put({0x40 | rex});
    put(opcode);
    const unsigned field = (reg & 7) << 3;
    if (pick(8) == 0) {  // no base: an address in the window's first page
      const uint64_t address = kWindow + pick(0x1080);
      relative_ ? put({field | 5}) : put({field | 4, 0x25});
      put32(static_cast<uint32_t>(relative_ ? address - (BareMachine::kCode + code_.size() + 4) : address));
      return;
    }
    const unsigned base = base_register();
    if (base == 4) {
      put({0x80 | field | 4, 0x24});
    } else if (pick(5) == 0) {
      put({0x80 | field | 4, static_cast<unsigned>(pick(4)) << 6 | 7 << 3 | base});  // + rdi * scale
    } else {
      put({0x80 | field | base});
    }
    put32(static_cast<uint32_t>(displacement()));
  }
  void add_one() {
    const unsigned reg = data_register();
    const unsigned base = base_register();
    const auto byte = static_cast<unsigned>(pick(256));
    switch (pick(26)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return memory({}, {0x8b}, reg);
      case 4:
      case 5:
      case 6:
        return memory({}, {0x89}, reg);
      case 7:
        return memory({}, {0x01}, reg);
      case 8:
        return memory({}, {0x13}, reg);
      case 9:
        return memory({}, {0x0f, 0xb6}, reg);
      case 10:
        return memory({}, {0x88}, static_cast<unsigned>(pick(8)), false);  // ah to bh, too
      case 11:
        return memory({}, {0x0f, 0x11}, static_cast<unsigned>(pick(8)));
      case 12:
        return memory({}, {0x0f, 0x10}, static_cast<unsigned>(pick(8)));
      case 13:
        return memory({0xf0}, {0x0f, 0xc1}, reg);
      case 14:
        return memory({}, {0x39}, reg);
      case 15:
        return memory({}, {0x0f, 0x28}, static_cast<unsigned>(pick(8)));  // movaps: may not be aligned
      case 16:
      case 17:
        if (reg >= 8) put({0x41});
        return put({0x50 | (reg & 7)});  // push
      case 18:
      case 19:
        if (reg >= 8) put({0x41});
        return put({0x58 | (reg & 7)});  // pop
      case 20:
        return put({0x68, byte, byte, 0, 0});  // push imm32
      case 21:                                 // add or sub base, imm8
        if (wide_) put({0x48});
        return put({0x83, 0xc0 | (pick(2) ? 5u << 3 : 0u) | base, byte & 0x78});
      case 22:  // adc eax, imm8, or setc cl
        return pick(2) ? put({0x83, 0xd0, byte}) : put({0x0f, 0x92, 0xc1});
      case 23:
        return put({0xe8, 0, 0, 0, 0});  // call the next instruction
      case 24:                           // mov rsi, rbx; or lea rbx, [rsi + disp8]
        if (wide_) put({0x48});
        return pick(2) ? put({0x89, 0xde}) : put({0x8d, 0x5e, byte & 0x78});
      default:
        return pick(2) ? put({0xf9}) : put({0x83, 0xf9, byte});  // stc; cmp ecx, imm8
    }
  }

  std::mt19937_64 random_;
  const bool wide_, relative_;
  std::vector<uint8_t> code_;
};

void compare(bool wide) {
  PagedWindow window{.wide = wide, .kinds = 10};
  window.compare(
      3000, [wide](uint64_t seed) { return Program(seed, wide).make(1 + static_cast<unsigned>(seed % 16)); });
  EXPECT_GT(window.shutdowns, 300u);
  EXPECT_LT(window.shutdowns, 2500u);
}

TEST(TranslateSpans, AgreeWithStepIn64BitCode) { compare(true); }
TEST(TranslateSpans, AgreeWithStepIn32BitCode) { compare(false); }

TEST(TranslateSpans, AgreeWithStepWhereCodeIsCopied) {
  PagedWindow window{.wide = true, .kinds = 10, .bases = kFarBases};
  window.compare(
      1500, [](uint64_t seed) { return Program(seed, true, true).make(1 + static_cast<unsigned>(seed % 16)); });
  EXPECT_GT(window.shutdowns, 300u);
  EXPECT_GT(window.copied, 3000u);
}

/// The spans of `code`, as (span, offset) of operands and stack accesses in turn.
class SpansOf {
 public:
  explicit SpansOf(const std::vector<uint8_t>& code) {
    std::vector<uint8_t> page(x86::kPageSize, 0xf4);
    std::ranges::copy(code, page.begin());
    const auto mode = translate::Mode::of(machine_.cpu());
    analysis_.run(page, 0, BareMachine::kCode, *mode);
    spans_.run(analysis_.instructions(), BareMachine::kCode, *mode, true);
  }
  translate::Spans* operator->() { return &spans_; }

 private:
  BareMachine machine_{true};
  translate::Analysis analysis_{x86::Vendor::kIntel};
  translate::Spans spans_;
};

TEST(TranslateSpans, FollowTheStackPointer) {
  // push rbx; sub rsp, 24; mov [rsp + 8], rdi; mov rax, [rsp + 32]
  SpansOf spans({0x53, 0x48, 0x83, 0xec, 24, 0x48, 0x89, 0x7c, 0x24, 8, 0x48, 0x8b, 0x44, 0x24, 32});
  EXPECT_EQ(spans->stack(0).offset, 16);
  EXPECT_EQ(spans->operand(2).offset, 0);
  EXPECT_EQ(spans->operand(3).offset, 24);
  EXPECT_EQ(spans->operand(3).span, spans->stack(0).span);
  EXPECT_EQ(spans->at(0).size(), 32u);
  EXPECT_TRUE(spans->at(0).writes);
}

TEST(TranslateSpans, EndWhereTheBaseIsReplaced) {
  // mov rax, [rbx]; mov rbx, [rbx + 8]; mov rcx, [rbx]
  SpansOf spans({0x48, 0x8b, 0x03, 0x48, 0x8b, 0x5b, 8, 0x48, 0x8b, 0x0b});
  EXPECT_TRUE(spans->operand(0).shared);
  EXPECT_TRUE(spans->operand(1).shared);
  EXPECT_FALSE(spans->operand(2).shared);
  EXPECT_FALSE(spans->at(0).writes);
}

TEST(TranslateSpans, DoNotReachFar) {
  // mov rax, [rbx]; mov rcx, [rbx + 0x800]
  SpansOf spans({0x48, 0x8b, 0x03, 0x48, 0x8b, 0x8b, 0, 8, 0, 0});
  EXPECT_FALSE(spans->operand(0).shared);
  EXPECT_FALSE(spans->operand(1).shared);
}

TEST(TranslateSpans, KnowHowTheyMove) {
  // mov rax, [rbx + rcx * 8]; mov [rsi], rax; mov rdi, [rdi]; add rbx, 8; inc rcx
  SpansOf spans(
      {0x48, 0x8b, 0x04, 0xcb, 0x48, 0x89, 0x06, 0x48, 0x8b, 0x3f, 0x48, 0x83, 0xc3, 8, 0x48, 0xff, 0xc1});
  EXPECT_EQ(spans->at(spans->operand(0).span).stride, 16);
  EXPECT_EQ(spans->at(spans->operand(1).span).stride, 0);
  EXPECT_FALSE(spans->at(spans->operand(2).span).stride);
}

/// A loop's first access may be to the last page of the address space, or to any other: no initial value of
/// what the loop keeps can be taken for it.
TEST(TranslateSpans, StartFromAnyAddress) {
  // 1: mov rax, [rbx]; add rbx, 8; dec ecx; jnz 1b
  const std::vector<uint8_t> code{0x48, 0x8b, 0x03, 0x48, 0x83, 0xc3, 8, 0xff, 0xc9, 0x75, 0xf5};
  for (const uint64_t start :
       {~uint64_t{7}, ~uint64_t{0xfff}, uint64_t{0}, uint64_t{1} << 47, uint64_t{1} << 63, uint64_t{0xfff},
        BareMachine::kRam - 8, BareMachine::kRam - 4}) {
    SCOPED_TRACE(start);
    BareMachine stepped(false);
    BareMachine translated(true);
    Stop stops[2];
    unsigned i = 0;
    for (BareMachine* machine : {&stepped, &translated}) {
      machine->state().gpr[x86::kRbx] = start;
      machine->state().gpr[x86::kRcx] = 3;
      stops[i++] = machine->run(code);
    }
    EXPECT_EQ(stops[0], stops[1]);
    EXPECT_EQ(stepped.state().gpr, translated.state().gpr);
    EXPECT_EQ(stepped.state().rip, translated.state().rip);
  }
}

}  // namespace
}  // namespace eidolon::engine
