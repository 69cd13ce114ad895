// IRET in every mode (SDM volume 2, IRET; volume 3, 20.2.5 and 20.3 for virtual-8086 mode).
#include <cstring>

#include "base/try.h"
#include "cpu/task.h"
#include "cpu/transfer.h"
#include "cpu/transfer_code.h"

namespace eidolon::cpu {

namespace {

struct Frame {
  uint64_t rip;
  uint16_t cs;
  uint64_t flags;
};

constexpr uint64_t kFlags16 = x86::kFlagsArithmetic | x86::kFlagTf | x86::kFlagDf | x86::kFlagNt;
constexpr uint64_t kFlags32 = x86::kFlagRf | x86::kFlagAc | x86::kFlagId;
constexpr uint64_t kVirtualInterrupt = x86::kFlagVif | x86::kFlagVip;

Outcome<Frame> pop_frame(Stack& stack, unsigned size) {
  constexpr unsigned kWords = 3, kWord = sizeof(uint64_t);
  if (const uint8_t* from = size == kWord ? stack.plain_above(kWords * kWord) : nullptr) {
    const auto word = [from](unsigned i) {
      uint64_t value;
      std::memcpy(&value, from + i * kWord, sizeof value);
      return value;
    };
    stack.skip(kWords * kWord);
    return Frame{word(0), static_cast<uint16_t>(word(1)), word(2)};
  }
  const uint64_t rip = EIDOLON_TRY(stack.pop(size));
  const auto cs = static_cast<uint16_t>(EIDOLON_TRY(stack.pop(size)));
  return Frame{rip, cs, EIDOLON_TRY(stack.pop(size))};
}

/// Real-address and virtual-8086 mode, whose flags differ.
Outcome<> return_real(State& state, Stack& stack, const Frame& frame, uint64_t flag_mask) {
  if (frame.rip > state.segment[x86::kCs].limit) return raise_gp();
  load_real_segment(state, x86::kCs, frame.cs);
  stack.commit();
  state.rip = frame.rip;
  replace_flags(state, frame.flags, flag_mask);
  return {};
}

/// With IOPL below 3 only the 16-bit form is there, and only under CR4.VME: IF stands for VIF (20.3.3).
Outcome<> return_virtual_interrupt(State& state, Stack& stack, Frame frame) {
  const bool wakes = (frame.flags & x86::kFlagIf) != 0 && (state.rflags & x86::kFlagVip) != 0;
  if (wakes || (frame.flags & x86::kFlagTf) != 0) return raise_gp();
  frame.flags &= ~x86::kFlagVif;
  if ((frame.flags & x86::kFlagIf) != 0) frame.flags |= x86::kFlagVif;
  return return_real(state, stack, frame, kFlags16 | x86::kFlagVif);
}

Outcome<> return_in_v86(Cpu& cpu, unsigned size) {
  State& state = cpu.state;
  const bool virtualized = state.iopl() < 3;
  if (virtualized && ((state.control.cr4 & x86::kCr4Vme) == 0 || size != 2)) return raise_gp();
  Stack stack(cpu);
  const Frame frame = EIDOLON_TRY(pop_frame(stack, size));
  if (virtualized) return return_virtual_interrupt(state, stack, frame);
  return return_real(state, stack, frame, kFlags16 | x86::kFlagIf | (size == 4 ? kFlags32 : 0));
}

Outcome<> return_in_real(Cpu& cpu, unsigned size) {
  Stack stack(cpu);
  const Frame frame = EIDOLON_TRY(pop_frame(stack, size));
  constexpr uint64_t kMask = kFlags16 | x86::kFlagIf | x86::kFlagIopl;
  return return_real(cpu.state, stack, frame, kMask | (size == 4 ? kFlags32 : 0));
}

/// From CPL 0 into virtual-8086 mode: the frame holds ESP, SS, ES, DS, FS and GS too.
Outcome<> return_to_v86(Cpu& cpu, Stack& stack, const Frame& frame) {
  State& state = cpu.state;
  const uint64_t esp = EIDOLON_TRY(stack.pop(4));
  uint16_t selectors[x86::kSegmentCount] = {};
  selectors[x86::kCs] = frame.cs;
  for (const x86::Segment segment : {x86::kSs, x86::kEs, x86::kDs, x86::kFs, x86::kGs})
    selectors[segment] = static_cast<uint16_t>(EIDOLON_TRY(stack.pop(4)));
  if (frame.rip > 0xffff) return raise_gp();

  replace_flags(state, frame.flags, x86::kFlagsDefined);
  for (unsigned i = 0; i < x86::kSegmentCount; ++i)
    load_real_segment(state, static_cast<x86::Segment>(i), selectors[i]);
  state.gpr[x86::kRsp] = esp;
  state.rip = frame.rip;
  return {};
}

/// Which flags a return may change, by the level and the operand size that it has.
[[nodiscard]] uint64_t protected_flag_mask(const State& state, unsigned size) {
  uint64_t mask = kFlags16;
  if (size != 2) mask |= kFlags32;
  if (state.cpl() <= state.iopl()) mask |= x86::kFlagIf;
  if (state.cpl() == 0) mask |= x86::kFlagIopl | (size != 2 ? kVirtualInterrupt : 0);
  return mask;
}

Outcome<> return_to_code(Cpu& cpu, Stack& stack, const Frame& frame, unsigned size) {
  State& state = cpu.state;
  const CodeSegment code = EIDOLON_TRY(read_return_segment(cpu, frame.cs));
  const unsigned cpl = x86::selector_rpl(frame.cs);
  const bool outer = cpl > state.cpl();
  const uint64_t flag_mask = protected_flag_mask(state, size);
  if (!outer && !state.long_code()) {
    EIDOLON_TRY(check_code_offset(state, code, frame.rip));
    EIDOLON_TRY(mark_accessed(cpu, code.selector, code.descriptor));
    stack.commit();
    enter_code(state, code, cpl, frame.rip);
    replace_flags(state, frame.flags, flag_mask);
    return {};
  }
  // To an outer level, and from 64-bit mode always, SS:RSP is part of the frame.
  const uint64_t pointer = EIDOLON_TRY(stack.pop(size));
  const auto selector = static_cast<uint16_t>(EIDOLON_TRY(stack.pop(size)));
  const SegmentRegister segment = EIDOLON_TRY(read_return_stack(cpu, selector, code));
  EIDOLON_TRY(check_code_offset(state, code, frame.rip));
  EIDOLON_TRY(mark_accessed(cpu, code.selector, code.descriptor));
  const uint64_t mask = stack_mask(segment, code.is_long(state));
  enter_code(state, code, cpl, frame.rip);
  replace_flags(state, frame.flags, flag_mask);
  state.segment[x86::kSs] = segment;
  set_stack_pointer(state, pointer, mask);
  if (outer) drop_privileged_segments(state, cpl);
  return {};
}

}  // namespace

Outcome<> interrupt_return(Cpu& cpu, unsigned operand_size, uint64_t next_rip) {
  State& state = cpu.state;
  state.nmi_blocked = false;
  if (!state.protected_mode()) return return_in_real(cpu, operand_size);
  if (state.virtual_8086()) return return_in_v86(cpu, operand_size);
  if ((state.rflags & x86::kFlagNt) != 0) {
    if (state.long_mode()) return raise_gp();
    return return_from_task(cpu, next_rip);
  }
  Stack stack(cpu);
  const Frame frame = EIDOLON_TRY(pop_frame(stack, operand_size));
  const bool to_v86 = operand_size == 4 && (frame.flags & x86::kFlagVm) != 0;
  if (to_v86 && state.cpl() == 0 && !state.long_mode()) return return_to_v86(cpu, stack, frame);
  return return_to_code(cpu, stack, frame, operand_size);
}

}  // namespace eidolon::cpu
