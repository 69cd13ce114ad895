// Entering a handler through a gate of the IDT: interrupt, trap and task gates of 16 and 32 bits, and the
// 64-bit gates with IST (SDM volume 3, 6.10 to 6.14 and 20.3).
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/cpu.h"

namespace eidolon::cpu {

struct GateEvent {
  uint8_t vector;
  bool check_dpl = false;                        ///< INT n, INT3, INTO: the gate's DPL must reach CPL
  bool set_resume_flag = false;                  ///< RF is set in the flags that are pushed
  std::optional<uint32_t> error = std::nullopt;  ///< pushed if present
};

/// Saves the interrupted state and enters the handler, in protected mode (virtual-8086 mode included). Error
/// codes come without the EXT bit. On a Fault the state is unchanged, but for one in a new task
/// (Fault::trap).
[[nodiscard]] Outcome<> enter_through_idt(Cpu& cpu, const GateEvent& event);

}  // namespace eidolon::cpu
