// Instructions whose bytes lie on two pages: translated once, and right whatever happens to either page.
#include <cstring>

#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

using Code = std::vector<uint8_t>;

/// A window of 4 KiB pages, identity-mapped at first. Code lies around the boundary at kBoundary.
class PagedMachine : public BareMachine {
 public:
  static constexpr uint64_t kWindow = 0x400000;
  static constexpr uint64_t kBoundary = kWindow + 0x2000;
  static constexpr uint64_t kFirstPage = kBoundary - 0x1000;
  static constexpr uint64_t kSecondPage = kBoundary;
  static constexpr uint64_t kOther = kWindow + 0x8000;  ///< physical page that the second may be mapped to
  static constexpr uint64_t kAlias = kWindow + 0x9000;  ///< linear page that another may be mapped at too
  static constexpr uint64_t kPageTable = kTables + 0x8000;
  static constexpr uint64_t kNoAccess = ~uint64_t{0};

  explicit PagedMachine(bool translate = true) : BareMachine(translate) {
    for (uint64_t i = 0; i < 512; ++i) map(kWindow + (i << 12), kWindow + (i << 12));
    put(kTables + 0x2000 + (kWindow >> 21) * 8, kPageTable | 7);
    cpu().mmu.invalidate_all();
  }

  static uint64_t entry_address(uint64_t linear) { return kPageTable + ((linear - kWindow) >> 12) * 8; }
  void map(uint64_t linear, uint64_t physical) {
    put(entry_address(linear), physical == kNoAccess ? 0 : physical | 7);
    cpu().mmu.invalidate_page(linear);
  }
  void place(uint64_t physical, const Code& bytes) {
    ASSERT_TRUE(memory().write(physical, bytes.data(), bytes.size()));
  }
  /// Puts `code` so that its byte `split` is the first one of the second page.
  void place_across(const Code& code, size_t split) { place(kBoundary - split, code); }

  [[nodiscard]] const translate::Statistics& statistics() {
    return static_cast<TranslateEngine&>(engine()).statistics();
  }
  uint64_t rax() { return state().gpr[x86::kRax]; }

 private:
  void put(uint64_t at, uint64_t value) { ASSERT_TRUE(memory().write(at, &value, sizeof value)); }
};

void append_32(Code& code, uint64_t value) {
  for (unsigned i = 0; i < 4; ++i) code.push_back(static_cast<uint8_t>(value >> i * 8));
}

/// mov ecx, `times`; xor eax, eax; 1: mov rdx, `target`; call rdx; `after`; dec ecx; jnz 1b
Code call_in_a_loop(uint64_t target, unsigned times, const Code& after = {}) {
  Code code = {0xb9};
  append_32(code, times);
  code.insert(code.end(), {0x31, 0xc0, 0xba});
  append_32(code, target);
  code.insert(code.end(), {0xff, 0xd2});
  code.insert(code.end(), after.begin(), after.end());
  code.insert(code.end(), {0xff, 0xc9, 0x75, static_cast<uint8_t>(-(11 + static_cast<int>(after.size())))});
  return code;
}

const Code kAddThreeAndReturn = {0x48, 0x05, 3, 0, 0, 0, 0xc3};  // add rax, 3; ret

class PageCrossing : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(AtEachByte, PageCrossing, testing::Values(1, 2, 3, 5));

TEST_P(PageCrossing, IsNotStepped) {
  PagedMachine machine;
  machine.place_across(kAddThreeAndReturn, GetParam());
  EXPECT_EQ(machine.run(call_in_a_loop(PagedMachine::kBoundary - GetParam(), 1000)), Stop::kRequested);
  EXPECT_EQ(machine.rax(), 3000u);
  EXPECT_LT(machine.statistics().steps, 10u);
  EXPECT_LT(machine.statistics().steps_untranslatable, 3u);
}

TEST(TranslatePageCrossing, IsDroppedWhenTheFirstPageIsWritten) {
  PagedMachine machine;
  machine.place_across(kAddThreeAndReturn, 3);
  // mov byte [kBoundary - 1], 5: the lowest byte of the constant.
  const Code rewrite = {0xc6, 0x04, 0x25, 0xff, 0x1f, 0x40, 0x00, 5};
  machine.run(call_in_a_loop(PagedMachine::kBoundary - 3, 4, rewrite));
  EXPECT_EQ(machine.rax(), 3u + 5 + 5 + 5);
}

TEST(TranslatePageCrossing, IsDroppedWhenTheSecondPageIsWritten) {
  PagedMachine machine;
  machine.place_across(kAddThreeAndReturn, 3);
  // mov byte [kBoundary], 1: the second byte of the constant.
  const Code rewrite = {0xc6, 0x04, 0x25, 0x00, 0x20, 0x40, 0x00, 1};
  machine.run(call_in_a_loop(PagedMachine::kBoundary - 3, 4, rewrite));
  EXPECT_EQ(machine.rax(), 3u + 3 * 0x103);
}

TEST(TranslatePageCrossing, IsDroppedWhenWrittenByAnAlias) {
  PagedMachine machine;
  machine.map(PagedMachine::kAlias, PagedMachine::kSecondPage);
  machine.place_across(kAddThreeAndReturn, 2);
  const Code rewrite = {0xc6, 0x04, 0x25, 0x00, 0x90, 0x40, 0x00, 7};  // mov byte [kAlias], 7
  machine.run(call_in_a_loop(PagedMachine::kBoundary - 2, 4, rewrite));
  EXPECT_EQ(machine.rax(), 3u + 3 * 7);
}

TEST(TranslatePageCrossing, IsDroppedWhenADeviceWrites) {
  PagedMachine machine;
  machine.place_across(kAddThreeAndReturn, 2);
  machine.run(call_in_a_loop(PagedMachine::kBoundary - 2, 2));
  machine.place(PagedMachine::kSecondPage, {9});
  machine.run(call_in_a_loop(PagedMachine::kBoundary - 2, 2));
  EXPECT_EQ(machine.rax(), 18u);
}

// A block of the first page goes on with the crossing one, without a check of the page that it is on itself.
TEST(TranslatePageCrossing, FollowsTheMappingOfTheSecondPage) {
  PagedMachine machine;
  const uint64_t start = PagedMachine::kBoundary - 8;
  machine.place(start,
                {0xff, 0xc6, 0xff, 0xc6, 0xeb, 0x00, 0x48, 0x05});  // inc esi; inc esi; jmp +0; add rax,
  machine.place(PagedMachine::kSecondPage, {3, 0, 0, 0, 0xc3});
  machine.place(PagedMachine::kOther, {100, 0, 0, 0, 0xc3});
  // xor [rdi], rbp; invlpg [kBoundary]: to the other page and back.
  machine.state().gpr[x86::kRdi] = PagedMachine::entry_address(PagedMachine::kSecondPage);
  machine.state().gpr[x86::kRbp] = PagedMachine::kSecondPage ^ PagedMachine::kOther;
  const Code remap = {0x48, 0x31, 0x2f, 0x0f, 0x01, 0x3c, 0x25, 0x00, 0x20, 0x40, 0x00};
  machine.run(call_in_a_loop(start, 6, remap));
  EXPECT_EQ(machine.rax(), 3u * 3 + 3 * 100);
  const uint64_t blocks = machine.statistics().blocks;
  machine.run(call_in_a_loop(start, 6, remap));
  EXPECT_EQ(machine.rax(), 3u * 3 + 3 * 100);
  // Both translations of the crossing instruction were still there; only the loop was written anew.
  EXPECT_LT(machine.statistics().blocks, blocks + 6);
}

TEST(TranslatePageCrossing, FaultsOnTheSecondPage) {
  PagedMachine machine;
  machine.map(PagedMachine::kSecondPage, PagedMachine::kNoAccess);
  machine.place_across(kAddThreeAndReturn, 4);
  EXPECT_EQ(machine.run(call_in_a_loop(PagedMachine::kBoundary - 4, 1)), Stop::kShutdown);
  EXPECT_EQ(machine.state().cr2, PagedMachine::kSecondPage);
  EXPECT_EQ(machine.state().rip, PagedMachine::kBoundary - 4);
}

TEST(TranslatePageCrossing, FaultsWhenTheSecondPageIsTakenAway) {
  PagedMachine machine;
  machine.place_across(kAddThreeAndReturn, 4);
  // mov qword [rdi], 0; invlpg [kBoundary]
  machine.state().gpr[x86::kRdi] = PagedMachine::entry_address(PagedMachine::kSecondPage);
  const Code unmap = {0x48, 0xc7, 0x07, 0, 0, 0, 0, 0x0f, 0x01, 0x3c, 0x25, 0x00, 0x20, 0x40, 0x00};
  EXPECT_EQ(machine.run(call_in_a_loop(PagedMachine::kBoundary - 4, 2, unmap)), Stop::kShutdown);
  EXPECT_EQ(machine.rax(), 3u);
  EXPECT_EQ(machine.state().cr2, PagedMachine::kSecondPage);
  EXPECT_EQ(machine.state().rip, PagedMachine::kBoundary - 4);
}

TEST(TranslatePageCrossing, GoesOnAtTheStartOfTheSamePhysicalPage) {
  PagedMachine machine;
  machine.map(PagedMachine::kSecondPage, PagedMachine::kFirstPage);
  machine.place(PagedMachine::kFirstPage, {3, 0, 0, 0, 0xc3});
  machine.place(PagedMachine::kFirstPage + 0xffe, {0x48, 0x05});
  // add byte [kFirstPage], 1
  const Code rewrite = {0x80, 0x04, 0x25, 0x00, 0x10, 0x40, 0x00, 1};
  machine.run(call_in_a_loop(PagedMachine::kBoundary - 2, 4, rewrite));
  EXPECT_EQ(machine.rax(), 3u + 4 + 5 + 6);
}

/// The same on both engines.
void expect_same(const Code& crossing, size_t split, uint64_t second_page = PagedMachine::kSecondPage) {
  PagedMachine stepped(false);
  PagedMachine translated(true);
  Stop stops[2];
  unsigned i = 0;
  for (PagedMachine* machine : {&stepped, &translated}) {
    machine->place_across(crossing, split);
    machine->map(PagedMachine::kSecondPage, second_page);
    machine->state().gpr[x86::kRsi] = BareMachine::kData;
    machine->state().gpr[x86::kRdi] = BareMachine::kData + 0x100;
    stops[i++] = machine->run(call_in_a_loop(PagedMachine::kBoundary - split, 50));
  }
  EXPECT_EQ(stops[0], stops[1]);
  EXPECT_EQ(stepped.state().gpr, translated.state().gpr);
  EXPECT_EQ(stepped.state().rip, translated.state().rip);
  EXPECT_EQ(stepped.state().cr2, translated.state().cr2);
}

TEST_P(PageCrossing, Jump) {
  // jmp +1; (hlt); inc eax; ret
  expect_same({0xe9, 1, 0, 0, 0, 0xf4, 0xff, 0xc0, 0xc3}, GetParam());
}
TEST_P(PageCrossing, ConditionalJump) {
  // jnz near +1; ret; inc eax; ret: taken or not by what dec ecx left
  expect_same({0x0f, 0x85, 1, 0, 0, 0, 0xc3, 0xff, 0xc0, 0xc3}, GetParam());
}
TEST_P(PageCrossing, Call) {
  // call +1; ret; inc eax; ret
  expect_same({0xe8, 1, 0, 0, 0, 0xc3, 0xff, 0xc0, 0xc3}, GetParam());
}
TEST(TranslatePageCrossing, Return) {
  // lea rsp, [rsp - 8]; mov rbx, [rsp + 8]; mov [rsp], rbx; ret 8
  expect_same(
      {0x48, 0x8d, 0x64, 0x24, 0xf8, 0x48, 0x8b, 0x5c, 0x24, 0x08, 0x48, 0x89, 0x1c, 0x24, 0xc2, 8, 0}, 15);
}
TEST(TranslatePageCrossing, String) {
  // mov ebx, ecx; mov ecx, 9; rep movsb; mov ecx, ebx; ret
  expect_same({0x89, 0xcb, 0xb9, 9, 0, 0, 0, 0xf3, 0xa4, 0x89, 0xd9, 0xc3}, 8);
}
TEST_P(PageCrossing, MemoryOperand) {
  // add [rdi + 0x10], ecx; add eax, [rdi + 0x10]; ret: long displacements
  expect_same({0x01, 0x8f, 0x10, 0, 0, 0, 0x03, 0x87, 0x10, 0, 0, 0, 0xc3}, GetParam());
}
TEST(TranslatePageCrossing, Undefined) { expect_same({0x0f, 0xff, 0xc3}, 1); }
TEST(TranslatePageCrossing, Privileged) { expect_same({0x0f, 0x20, 0xc0, 0xc3}, 2); }  // mov rax, cr0
TEST(TranslatePageCrossing, RestInNoMemory) { expect_same({0x48, 0x05}, 2, 0x10000000); }

// A block that ends where its page does goes on with the next page by itself.
TEST(TranslatePageCrossing, NextPageIsLinked) {
  PagedMachine machine;
  machine.place_across({0x48, 0x83, 0xc0, 3, 0xc3}, 4);
  machine.run(call_in_a_loop(PagedMachine::kBoundary - 4, 1000));
  EXPECT_EQ(machine.rax(), 3000u);
  EXPECT_LT(machine.statistics().dispatches, 40u);
}

}  // namespace
}  // namespace eidolon::engine
