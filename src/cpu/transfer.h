// Far transfers of control: JMP, CALL, RET and IRET between segments, privilege levels, modes and tasks
// (SDM volume 2, those instructions; volume 3, chapters 5, 7 and 20).
//
// Each routine is called with State::rip at the instruction itself; `next_rip` is the address after it, and
// `operand_size` is 2, 4 or 8 bytes. On success State::rip is the target. On a Fault the state is that
// before the instruction, except that a fault in the context of a new task (after a task switch) leaves the
// new task's state, with Fault::trap set: State::rip is then already the one to push.
#pragma once

#include <cstdint>

#include "cpu/cpu.h"

namespace eidolon::cpu {

/// JMP ptr16:16/32 and JMP m16:16/32/64: code segments, call gates, task gates and TSSs.
[[nodiscard]] Outcome<> far_jump(Cpu& cpu, uint16_t selector, uint64_t offset, unsigned operand_size,
                                 uint64_t next_rip);
/// CALL ptr16:16/32 and CALL m16:16/32/64.
[[nodiscard]] Outcome<> far_call(Cpu& cpu, uint16_t selector, uint64_t offset, unsigned operand_size,
                                 uint64_t next_rip);
/// RETF and RETF imm16: `extra_bytes` of parameters are released.
[[nodiscard]] Outcome<> far_return(Cpu& cpu, unsigned operand_size, uint64_t extra_bytes);
/// IRET, IRETD, IRETQ. Unblocks NMIs even if it faults (SDM volume 3, 6.7.1). RF is what was popped: the
/// engine must not clear it after this instruction.
[[nodiscard]] Outcome<> interrupt_return(Cpu& cpu, unsigned operand_size, uint64_t next_rip);

}  // namespace eidolon::cpu
