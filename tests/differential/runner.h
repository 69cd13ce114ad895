// One instruction, one state, and what comes of it: the common language of the host processor and the
// engines.
//
// Everything lies at fixed linear addresses, the same in this process and in the guest, so that addresses in
// results compare as they are.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "cpu/state.h"
#include "isa/instruction.h"

namespace eidolon::differential {

inline constexpr uint64_t kPage = 4096;
inline constexpr uint64_t kCode = 0x20000000;  ///< two pages, filled with INT3 around the instruction
inline constexpr uint64_t kCodeSize = 2 * kPage;
/// Two writable pages, a read-only one, and nothing on either side.
inline constexpr uint64_t kArena = 0x10000000;
inline constexpr uint64_t kArenaSize = 3 * kPage;
inline constexpr uint64_t kArenaWritable = 2 * kPage;

struct Registers {
  std::array<uint64_t, x86::kGprCount> gpr{};
  uint64_t rip = 0;
  uint64_t flags = 0;  ///< the arithmetic flags and DF
  cpu::XsaveImage fpu;
};

struct Case {
  isa::CodeSize code_size = isa::CodeSize::k64;
  Registers before;
  std::array<uint8_t, 15> code{};  ///< at before.rip, in the code pages
  unsigned code_length = 0;
  bool repeated = false;  ///< runs to the INT3 after it, not for one step
  std::array<uint8_t, kArenaSize> arena{};
};

struct Result {
  int vector = -1;  ///< of the exception, or -1
  uint64_t error = 0;
  uint64_t address = 0;  ///< of a page fault
  Registers after;
  std::array<uint8_t, kArenaSize> arena{};
};

/// Executes cases at CPL 3. The engines under test and the host processor each have one.
class Runner {
 public:
  virtual ~Runner() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual void run(const Case& test, Result& result) = 0;
};

}  // namespace eidolon::differential
