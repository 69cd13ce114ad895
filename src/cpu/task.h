// Hardware task switches: JMP, CALL and IRET to a TSS, and task gates (SDM volume 3, chapter 7).
//
// Everything that can fail without having switched is checked first, the memory of both TSSs included. After
// that the switch is done, and a fault in loading the new task's segments belongs to the new task: it comes
// with Fault::trap, and State::rip is the new task's.
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/cpu.h"

namespace eidolon::cpu {

enum class TaskSwitch : uint8_t { kJump, kCall, kInterrupt, kReturn };

/// To the TSS of `selector`, which must be available: #GP(selector) or #NP(selector) if it is not. `next_rip`
/// goes to the old TSS. The caller has checked privilege.
[[nodiscard]] Outcome<> switch_task(Cpu& cpu, uint16_t selector, TaskSwitch how, uint64_t next_rip);

/// The event of a task gate: the same, with State::rip as the address to come back to, and `error` (if any)
/// on the new task's stack. `set_resume_flag`: RF is set in the flags that the old TSS keeps.
[[nodiscard]] Outcome<> task_interrupt(Cpu& cpu, uint16_t selector, bool set_resume_flag,
                                       std::optional<uint32_t> error);

/// IRET with NT set: back to the task of the back link. #TS(selector) if it is no busy TSS.
[[nodiscard]] Outcome<> return_from_task(Cpu& cpu, uint64_t next_rip);

}  // namespace eidolon::cpu
