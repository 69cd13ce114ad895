// The 16- and 32-bit task-state segments as memory holds them (SDM volume 3, 7.2.1 and 7.6).
#pragma once

#include <array>
#include <cstdint>

#include "cpu/segmentation.h"

namespace eidolon::cpu {

[[nodiscard]] constexpr bool is_16_bit_tss(uint32_t attributes) { return (attributes & 8) == 0; }

/// The part of a TSS that a task switch loads and saves.
struct TaskImage {
  uint16_t link = 0;
  uint64_t cr3 = 0;  ///< 32-bit TSS only
  uint64_t rip = 0;
  uint64_t flags = 0;
  std::array<uint64_t, 8> gpr{};
  std::array<uint16_t, x86::kSegmentCount> selector{};  ///< FS and GS: 32-bit TSS only
  uint16_t ldt = 0;
  bool debug_trap = false;  ///< 32-bit TSS only
};

/// The smallest limit that a TSS may have.
[[nodiscard]] constexpr uint32_t minimum_tss_limit(bool is_16_bit) { return is_16_bit ? 0x2b : 0x67; }

/// Reads the TSS at `base`; #PF.
[[nodiscard]] Outcome<TaskImage> read_task(Cpu& cpu, uint64_t base, bool is_16_bit);
/// Whether `save_task` would fault.
[[nodiscard]] Outcome<> probe_task(Cpu& cpu, uint64_t base, bool is_16_bit);
/// Writes the dynamic fields: instruction pointer, flags, general registers, segment selectors.
[[nodiscard]] Outcome<> save_task(Cpu& cpu, uint64_t base, bool is_16_bit, const TaskImage& image);

}  // namespace eidolon::cpu
