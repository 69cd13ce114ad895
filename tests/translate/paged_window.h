// Small programs on the step engine and on the translator, which must agree: registers, flags, vector state,
// memory and page tables. Their data is a window of pages of which some are missing, read only or not dirty
// yet.
#pragma once

#include <cstring>
#include <functional>
#include <random>

#include "translate/bare_machine.h"

namespace eidolon::engine {

constexpr uint64_t kPageTable = BareMachine::kTables + 0x3000;  // maps 2 MiB from 0x200000 in pages of 4 KiB
constexpr uint64_t kMapped = 0x200000;
constexpr uint64_t kWindow = 0x300000;
constexpr uint64_t kWindowPages = 32;
constexpr uint64_t kWindowSize = kWindowPages * x86::kPageSize;

/// Where all of memory is shown once more, for position-independent programs of user code.
inline const std::vector<uint64_t> kFarBases{uint64_t{0x55} << 40, uint64_t{0x7f} << 40, uint64_t{1} << 40};

struct PagedWindow {
  bool wide;               ///< 64-bit code, else 32-bit
  unsigned kinds;          ///< of so many pages one is missing and one read only
  /// Programs run once at each of these, where all of memory is shown once more; in user code if it is not 0.
  std::vector<uint64_t> bases{0};
  unsigned shutdowns = 0;  ///< programs that ended in one, by a fault
  uint64_t copied = 0;     ///< blocks

  /// Runs the programs for seeds from 1 on.
  template <typename MakeProgram>
  void compare(uint64_t programs, MakeProgram make);
  void prepare(BareMachine& machine, uint64_t seed) const;
};

/// Of page tables. A processor may set the accessed bit of a page that an instruction would have come to, had
/// not another one before it faulted.
inline void expect_same_tables(BareMachine& stepped, BareMachine& translated, bool faulted) {
  for (uint64_t at = kPageTable; at < kPageTable + x86::kPageSize; at += 8) {
    uint64_t a = 0, b = 0;
    ASSERT_TRUE(stepped.memory().read(at, &a, sizeof a) && translated.memory().read(at, &b, sizeof b));
    if (faulted) a |= b & x86::kPteAccessed;
    ASSERT_EQ(a, b) << "page " << (at - kPageTable) / 8;
  }
}

inline void PagedWindow::prepare(BareMachine& machine, uint64_t seed) const {
  std::mt19937_64 random(seed * 31 + 7);
  const auto put = [&](uint64_t at, uint64_t value) {
    ASSERT_TRUE(machine.memory().write(at, &value, sizeof value));
  };
  put(BareMachine::kTables + 0x2008, kPageTable | 7);
  for (uint64_t i = 0; i < 512; ++i) {
    const uint64_t page = kMapped + i * x86::kPageSize;
    uint64_t attributes = 7;
    if (page > kWindow && page < kWindow + kWindowSize) {
      const uint64_t kind = random() % kinds;
      attributes = kind == 0          ? 0
                   : kind == 1        ? 5
                   : kind < kinds / 2 ? 0x67
                                      : 7;  // missing, read only, dirty, clean
    }
    put(kPageTable + i * 8, page | attributes);
  }
  machine.cpu().mmu.invalidate_all();

  cpu::State& s = machine.state();
  if (!wide)
    s.segment[x86::kCs].attributes =
        (s.segment[x86::kCs].attributes & ~uint32_t{x86::kAttrLong}) | x86::kAttrBig;
  for (uint64_t& reg : s.gpr) {
    const uint64_t page = 8 + random() % 12;
    uint64_t offset = random() % x86::kPageSize;
    if (random() % 3 == 0) offset = (x86::kPageSize - random() % 64 * 8) % x86::kPageSize;
    reg = kWindow + page * x86::kPageSize + (random() % 4 ? offset & ~uint64_t{7} : offset);
  }
  s.gpr[x86::kRdi] = random() % 64;
  if (!wide)
    for (unsigned reg = 8; reg < 16; ++reg) s.gpr[reg] = 0;
  s.rflags = x86::kFlagFixed | (random() & x86::kFlagsArithmetic);
  std::vector<uint64_t> data(kWindowSize / 8);
  for (auto& word : data) word = random();
  ASSERT_TRUE(machine.memory().write(kWindow, data.data(), kWindowSize));
  for (unsigned i = 160; i < 416; ++i) s.fpu.bytes[i] = static_cast<uint8_t>(random());
  s.fpu.bytes[512] |= 3;
}

template <typename MakeProgram>
void PagedWindow::compare(uint64_t programs, MakeProgram make) {
  BareMachine stepped(false);
  BareMachine translated(true);
  const cpu::State initial = stepped.state();
  for (const uint64_t base : bases) {
    stepped.show_at(base);
    translated.show_at(base);
  }
  for (uint64_t run = 0; run < programs * bases.size(); ++run) {
    const uint64_t seed = run / bases.size() + 1, base = bases[run % bases.size()];
    const auto program = make(seed);
    Stop stops[2];
    unsigned i = 0;
    for (BareMachine* machine : {&stepped, &translated}) {
      machine->state() = initial;
      prepare(*machine, seed);
      if (base != 0) machine->become_user();
      if (base == bases[0]) machine->place(program);
      stops[i++] = machine->run_at(base + BareMachine::kCode);
    }
    std::string text;
    for (const uint8_t byte : program) text += fmt::format("{:02x}", byte);
    SCOPED_TRACE(testing::Message() << "seed " << seed << " at " << base << " code " << text);
    ASSERT_EQ(stops[0], stops[1]);
    const cpu::State& a = stepped.state();
    const cpu::State& b = translated.state();
    ASSERT_EQ(a.gpr, b.gpr);
    ASSERT_EQ(a.rip, b.rip);
    if (stops[0] == Stop::kRequested) {
      ASSERT_EQ(a.rflags, b.rflags);
    }
    if (stops[0] == Stop::kShutdown) ++shutdowns;
    ASSERT_EQ(std::memcmp(a.fpu.bytes.data() + 32, b.fpu.bytes.data() + 32, 384), 0);
    ASSERT_EQ(std::memcmp(stepped.memory().host(kWindow, kWindowSize),
                          translated.memory().host(kWindow, kWindowSize), kWindowSize),
              0);
    expect_same_tables(stepped, translated, stops[0] == Stop::kShutdown);
  }
  copied = static_cast<TranslateEngine&>(translated.engine()).statistics().copied;
}

}  // namespace eidolon::engine
