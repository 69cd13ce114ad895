// Random string and bit-string instructions on the step engine and on the translator, over pages of which
// some are missing, read-only, not memory, or hold translated code; near and across their ends, up and down.
// The processor has no interrupt table, so a fault in the middle shuts it down with the registers that it
// left.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

constexpr uint64_t kWindow = 0x400000;
constexpr unsigned kPages = 16;
constexpr uint64_t kPageTable = BareMachine::kTables + 0x3000;
constexpr uint64_t kAlias = 0x600000;  ///< all of the window's memory, whatever its page table says
constexpr uint64_t kCodePage = kWindow + 3 * 0x1000;

class Random {
 public:
  explicit Random(uint64_t seed) : random_(seed) {}
  uint64_t operator()() { return random_(); }
  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool one_in(uint64_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 random_;
};

std::string hex(const std::vector<uint8_t>& bytes) {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

void append(std::vector<uint8_t>& code, std::initializer_list<uint8_t> bytes) {
  code.insert(code.end(), bytes);
}

/// mov of a constant: 64 bits wide in 64-bit code, else 32.
void append_move(std::vector<uint8_t>& code, unsigned reg, uint64_t value, bool wide) {
  if (wide) code.push_back(0x48);
  code.push_back(static_cast<uint8_t>(0xb8 + reg));
  for (unsigned i = 0; i < (wide ? 8u : 4u); ++i) code.push_back(static_cast<uint8_t>(value >> 8 * i));
}

/// An address in the window, often close to the end of a page.
uint64_t random_address(Random& random) {
  uint64_t address = kWindow + random.below(kPages << 12);
  if (!random.one_in(3)) address = ((address | 0xfff) - 40) + random.below(64);
  if (random.one_in(60)) address = random();
  return address;
}

uint64_t random_count(Random& random, bool narrow) {
  uint64_t count = random.below(12);
  if (random.one_in(3)) count = random.below(700);
  if (random.one_in(12)) count = random.below(9000);
  if (narrow && random.one_in(2)) count |= random() << 32;
  return count;
}

void append_string_instruction(std::vector<uint8_t>& code, Random& random, bool wide) {
  const bool narrow = random.one_in(6);
  append_move(code, x86::kRsi, random_address(random), wide);
  append_move(code, x86::kRdi, random_address(random), wide);
  append_move(code, x86::kRcx, random_count(random, !wide || narrow), wide);
  if (random.one_in(3)) code.push_back(random.one_in(2) ? 0xfd : 0xfc);  // std, cld
  if (random.one_in(3)) append(code, {0x38, 0xc0});                      // cmp al, al
  const bool repeat = !random.one_in(3);
  if (repeat) code.push_back(random.one_in(2) ? 0xf3 : 0xf2);
  if (narrow && wide) code.push_back(0x67);
  if (random.one_in(6)) code.push_back(random.one_in(2) ? 0x64 : 0x65);
  const uint64_t size = random.below(wide ? 4 : 3);
  if (size == 1) code.push_back(0x66);
  if (size == 3) code.push_back(0x48);
  constexpr uint8_t kOpcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
  code.push_back(static_cast<uint8_t>(kOpcodes[random.below(5)] | (size == 0 ? 0 : 1)));
  if (random.one_in(2))
    append(code, {0x0f, static_cast<uint8_t>(0x90 | random.below(16)), 0xc3});  // setcc bl
}

/// bt, bts, btr or btc of [rsi], [rsi + rdi] or fs:[rsi] with the offset in rdx.
void append_bit_instruction(std::vector<uint8_t>& code, Random& random, bool wide) {
  append_move(code, x86::kRsi, random_address(random), wide);
  append_move(code, x86::kRdi, random.below(64), wide);
  const uint64_t offset = random.one_in(3) ? random.below(64) : random.below(1 << 18) - (1 << 17);
  append_move(code, x86::kRdx, offset, wide);
  constexpr uint8_t kOpcodes[] = {0xa3, 0xab, 0xb3, 0xbb};
  const uint8_t opcode = kOpcodes[random.below(4)];
  if (opcode != 0xa3 && random.one_in(3)) code.push_back(0xf0);
  if (random.one_in(6)) code.push_back(0x64);
  const uint64_t size = random.below(wide ? 3 : 2);
  if (size == 0) code.push_back(0x66);
  if (size == 2) code.push_back(0x48);
  append(code, {0x0f, opcode});
  if (random.one_in(2))
    append(code, {0x14, 0x3e});
  else
    code.push_back(0x16);
  if (random.one_in(2)) append(code, {0x0f, static_cast<uint8_t>(0x90 | random.below(16)), 0xc3});
}

/// Neighbours are not neighbours in memory.
uint64_t frame_of_page(uint64_t page) { return kWindow + ((page * 5 + 3) % kPages << 12); }

void prepare(BareMachine& machine, uint64_t seed, bool wide) {
  Random random(seed);
  const auto put = [&](uint64_t at, uint64_t value) {
    ASSERT_TRUE(machine.memory().write(at, &value, sizeof value));
  };
  put(BareMachine::kTables + 0x2000 + (kWindow >> 21) * 8, kPageTable | 7);
  for (uint64_t page = 0; page < 512; ++page) {
    uint64_t entry = page < kPages ? frame_of_page(page) | 7 : 0;
    if (page < kPages && random.one_in(12)) entry = 0;
    if (page < kPages && random.one_in(12)) entry &= ~uint64_t{2};
    if (page < kPages && random.one_in(20)) entry = (BareMachine::kRam + (page << 12)) | 7;
    put(kPageTable + page * 8, entry);
  }
  machine.cpu().mmu.invalidate_all();

  cpu::State& s = machine.state();
  for (uint64_t& reg : s.gpr) reg = random();
  s.gpr[x86::kRsp] = BareMachine::kStack;
  s.segment[x86::kFs].base = random.below(0x2000);
  s.segment[x86::kGs].base = 0x10;
  s.rflags = x86::kFlagFixed | (random() & x86::kFlagsArithmetic) | (random.one_in(3) ? x86::kFlagDf : 0);
  if (!wide) {
    s.segment[x86::kCs].attributes &= ~x86::kAttrLong;
    s.segment[x86::kCs].attributes |= x86::kAttrBig;
    for (uint64_t& reg : s.gpr) reg &= 0xffffffff;
  }
  // Long runs of equal bytes, for comparisons to run through.
  std::vector<uint8_t> data(kPages << 12);
  std::ranges::fill(data, 0x55);
  for (uint64_t others = random.below(1000); others != 0; --others)
    data[random.below(data.size())] = static_cast<uint8_t>(random());
  if (random.one_in(2)) s.gpr[x86::kRax] = 0x5555555555555555;
  ASSERT_TRUE(machine.memory().write(kWindow, data.data(), data.size()));
}

/// Runs a routine in the window first, so that its page holds translations.
void translate_a_page(BareMachine& machine) {
  constexpr uint8_t kRoutine[] = {0x90, 0xc3};
  ASSERT_TRUE(machine.memory().write(kCodePage, kRoutine, sizeof kRoutine));
  const uint64_t directory = kWindow | 0x87;
  ASSERT_TRUE(machine.memory().write(BareMachine::kTables + 0x2000 + (kAlias >> 21) * 8, &directory, 8));
  machine.cpu().mmu.invalidate_all();
  machine.state().gpr[x86::kRbx] = kCodePage - kWindow + kAlias;
  (void)machine.run({0xff, 0xd3});  // call rbx
}

void expect_agreement(bool wide, uint64_t seeds,
                      void (*append_instruction)(std::vector<uint8_t>&, Random&, bool)) {
  BareMachine stepped(false);
  BareMachine translated(true);
  const cpu::State initial = stepped.state();
  unsigned shutdowns = 0;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    std::vector<uint8_t> program;
    Random random(seed + 1000000);
    for (uint64_t i = 0; i <= seed % 8; ++i) append_instruction(program, random, wide);
    Stop stops[2];
    unsigned i = 0;
    for (BareMachine* machine : {&stepped, &translated}) {
      machine->state() = initial;
      if (seed % 3 == 0) translate_a_page(*machine);
      machine->state() = initial;
      prepare(*machine, seed, wide);
      stops[i++] = machine->run(program);
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed << " code " << hex(program));
    ASSERT_EQ(stops[0], stops[1]);
    const cpu::State& a = stepped.state();
    const cpu::State& b = translated.state();
    for (unsigned reg = 0; reg < 16; ++reg)
      ASSERT_EQ(a.gpr[reg], b.gpr[reg]) << "register " << reg << fmt::format(" rip {:x}", a.rip);
    ASSERT_EQ(a.rip, b.rip);
    ASSERT_EQ(a.cr2, b.cr2);
    if (stops[0] == Stop::kRequested) {
      ASSERT_EQ(a.rflags, b.rflags);
    }
    if (stops[0] == Stop::kShutdown) ++shutdowns;
    const auto same = [&](uint64_t at, uint64_t size) {
      return std::memcmp(stepped.memory().host(at, size), translated.memory().host(at, size), size) == 0;
    };
    ASSERT_TRUE(same(kWindow, kPages << 12)) << "memory";
    for (uint64_t page = 0; page < kPages; ++page) {
      uint64_t entries[2];
      std::memcpy(&entries[0], stepped.memory().host(kPageTable + page * 8, 8), 8);
      std::memcpy(&entries[1], translated.memory().host(kPageTable + page * 8, 8), 8);
      ASSERT_EQ(entries[0], entries[1]) << "page " << page;
    }
  }
  EXPECT_GT(shutdowns, seeds / 50);
}

TEST(TranslateString, Agrees64) { expect_agreement(true, 6000, append_string_instruction); }
TEST(TranslateString, Agrees32) { expect_agreement(false, 6000, append_string_instruction); }
TEST(TranslateBitString, Agrees64) { expect_agreement(true, 3000, append_bit_instruction); }
TEST(TranslateBitString, Agrees32) { expect_agreement(false, 3000, append_bit_instruction); }

TEST(TranslateString, StopsInTheMiddle) {
  BareMachine machine(true);
  // 512 GiB of the same 2 MiB: nobody waits for the end of that.
  constexpr uint64_t kFar = uint64_t{1} << 39;
  constexpr uint64_t kDirectories = BareMachine::kTables + 0x4000;
  const auto put = [&](uint64_t at, uint64_t value) {
    ASSERT_TRUE(machine.memory().write(at, &value, sizeof value));
  };
  put(BareMachine::kTables + 8, kDirectories | 7);
  for (uint64_t i = 0; i < 512; ++i) {
    put(kDirectories + i * 8, (kDirectories + 0x1000) | 7);
    put(kDirectories + 0x1000 + i * 8, kWindow | 0x87);
  }
  std::vector<uint8_t> code;
  append_move(code, x86::kRdi, kFar, true);
  append_move(code, x86::kRcx, kFar, true);
  const size_t instruction = code.size();
  append(code, {0xf3, 0xaa});
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    machine.cpu().events.raise(cpu::kEventStop);
  });

  const Stop stop = machine.run(code);
  stopper.join();

  EXPECT_EQ(stop, Stop::kRequested);
  EXPECT_EQ(machine.state().rip, BareMachine::kCode + instruction);
  EXPECT_GT(machine.state().gpr[x86::kRcx], 0u);
  EXPECT_EQ(machine.state().gpr[x86::kRcx] + machine.state().gpr[x86::kRdi], 2 * kFar);
}

}  // namespace
}  // namespace eidolon::engine
