// What generated code keeps per processor, in Cpu::engine_area: reached, like State and the virtual TLB, by
// displacement from the GS base, which holds the address of the Cpu.
#pragma once

#include <array>
#include <cstdint>

#include "cpu/cpu.h"

namespace eidolon::engine::translate {

/// A predicted target of indirect jumps: the linear address, the mode it was met in, and the checked entry of
/// its block.
struct alignas(32) JumpEntry {
  uint64_t rip;
  uint64_t code;
  uint32_t mode;
  static constexpr uint32_t kEmpty = 0xffffffff;  ///< a mode that is none
};
static_assert(sizeof(JumpEntry) == 32);

/// An answer of CPUID: to which question, and what else it depends on.
struct alignas(32) CpuidEntry {
  uint32_t leaf, subleaf;
  uint32_t cr4, xcr0;  ///< low halves, which are all there is; XCR0 is 0 in an entry that is none
  cpu::CpuidResult result;
};
static_assert(sizeof(CpuidEntry) == 32);

struct Frame {
  static constexpr unsigned kJumpEntriesLog2 = 13;
  static constexpr unsigned kJumpEntries = 1u << kJumpEntriesLog2;
  static constexpr unsigned kPageIdsLog2 = 14;
  static constexpr unsigned kPageIds = 1u << kPageIdsLog2;

  // How generated code and the monitor hand over.
  std::array<uint64_t, 16> host_gpr;  ///< the host's registers when generated code left, or to enter with
  uint64_t flags;                     ///< as LAHF and SETO AL leave them in AX
  uint64_t monitor_rsp;
  uint64_t resume;         ///< host address to enter at
  uint64_t address;        ///< linear address of a missed access; target of an indirect jump
  uint32_t site;           ///< index of the Site that left
  uint32_t saved_flags;    ///< guest flags that a block put aside, in the low half in the format of `flags`
  uint64_t jump_target;    ///< host address of an indirect jump under way
  uint64_t host_fault_pc;  ///< host address of the instruction that faulted; else 0
  uint64_t host_fault_vector;
  uint32_t deferred_events;  ///< taken from the processor's flags because they cannot be delivered yet
  /// Not 0: the guest's x87 and vector state is in State::fpu, not in the host's registers. Blocks that use
  /// it ask (builder_head.cpp).
  uint32_t extended_away;
  /// PAUSEs until the processor's thread gives way: somebody spins, and whom it waits for may want the host's
  /// processor.
  uint32_t pauses_left;
  static constexpr uint32_t kPauses = 512;
  void* engine;  ///< the TranslateEngine, for the exit handler

  /// Hashed, as few pages are hot but those of a program, its libraries and the kernel each lie side by side.
  [[nodiscard]] static constexpr size_t page_slot(uint64_t rip, bool user) {
    const uint64_t page = rip >> x86::kPageShift << 1 | (user ? 1 : 0);
    return page * 0x9e3779b97f4a7c15u >> (64 - kPageIdsLog2);
  }
  /// Multiplicative hash: functions start at multiples of 16 and calls return to just behind them, so neither
  /// the low bits nor those above them would do alone.
  static constexpr uint32_t kJumpHash = 0x9e3779b1;
  static constexpr unsigned kJumpShift = 32 - kJumpEntriesLog2 - 4;
  static constexpr uint32_t kJumpMask = (kJumpEntries - 1) << 4;
  [[nodiscard]] static constexpr uint32_t jump_slot(uint64_t rip) {
    return (static_cast<uint32_t>(rip) * kJumpHash >> kJumpShift & kJumpMask) >> 4;
  }

  /// Returns by low bits of the stack pointer that finds the return address: host code that goes on at one,
  /// or sees that it is another (builder_returns.cpp). A table for each of the first modes met.
  static constexpr unsigned kReturnTables = 8;
  static constexpr unsigned kReturnEntries = 256;
  std::array<std::array<uint64_t, kReturnEntries>, kReturnTables> returns;
  std::array<JumpEntry, kJumpEntries> jump_cache;
  static constexpr unsigned kCpuidEntries = 32;
  [[nodiscard]] static constexpr unsigned cpuid_slot(uint32_t leaf, uint32_t subleaf) {
    return (leaf + (leaf >> 28) + subleaf * 8) % kCpuidEntries;
  }
  std::array<CpuidEntry, kCpuidEntries> cpuid;
  /// Which (linear page, physical page, user or supervisor) is known to be mapped and may be fetched
  /// (code_mappings.h): by hash of linear page and user, the page ID.
  std::array<uint32_t, kPageIds> page_ids;
};
static_assert(sizeof(Frame) <= cpu::Cpu::kEngineAreaSize);

[[nodiscard]] inline Frame& frame_of(cpu::Cpu& cpu) {
  return *reinterpret_cast<Frame*>(cpu.engine_area.data());
}

/// Registers of 64-bit code that are in their slots between blocks (builder.h): r9, r10 and r11.
inline constexpr uint16_t kHomeless = 0x0e00;

/// LAHF/SETO format to the arithmetic bits of RFLAGS and back.
[[nodiscard]] constexpr uint64_t flags_to_rflags(uint64_t flags) {
  return (flags >> 8 & (x86::kFlagSf | x86::kFlagZf | x86::kFlagAf | x86::kFlagPf | x86::kFlagCf)) |
         ((flags & 1) ? x86::kFlagOf : 0);
}
[[nodiscard]] constexpr uint64_t flags_from_rflags(uint64_t rflags) {
  return (rflags & 0xd5) << 8 | 0x200 | ((rflags & x86::kFlagOf) ? 1 : 0);
}

}  // namespace eidolon::engine::translate
