#include "cpu/gate_interrupt.h"

#include <array>
#include <cstring>

#include "base/try.h"
#include "cpu/linear.h"
#include "cpu/task.h"
#include "cpu/task_stack.h"
#include "cpu/transfer_code.h"

namespace eidolon::cpu {

namespace {

struct Gate {
  unsigned type;
  uint16_t selector;
  uint64_t offset;
  unsigned ist;
  unsigned size;  ///< of what is pushed: 2, 4 or 8 bytes
};

[[nodiscard]] uint32_t gate_error(uint8_t vector) { return vector * 8u | x86::kErrorIdt; }

[[nodiscard]] bool is_idt_gate(unsigned type, bool long_mode) {
  switch (type) {
    case x86::kInterruptGate32:
    case x86::kTrapGate32:
      return true;
    case x86::kInterruptGate16:
    case x86::kTrapGate16:
    case x86::kTaskGate:
      return !long_mode;
    default:
      return false;
  }
}

[[nodiscard]] bool is_16_bit(unsigned type) {
  return type == x86::kInterruptGate16 || type == x86::kTrapGate16;
}
[[nodiscard]] bool is_interrupt_gate(const Gate& gate) {
  return gate.type == x86::kInterruptGate16 || gate.type == x86::kInterruptGate32;
}

// Results go to where they are used from: a structure that is put together in parts and then copied whole
// makes the copy wait until all parts are in the cache, and an interrupt has half a dozen of them.

Outcome<> read_gate(Cpu& cpu, const GateEvent& event, Gate& gate) {
  const State& state = cpu.state;
  const bool long_mode = state.long_mode();
  const unsigned size = long_mode ? 16 : 8;
  const uint32_t offset = event.vector * size;
  if (offset + size - 1 > state.idtr.limit) return raise_gp(gate_error(event.vector));
  const x86::Descriptor d{EIDOLON_TRY(read_system<uint64_t>(cpu, state.idtr.base + offset))};
  uint64_t upper = 0;
  if (long_mode) upper = EIDOLON_TRY(read_system<uint32_t>(cpu, state.idtr.base + offset + 8));

  if (!d.is_system() || !is_idt_gate(d.type(), long_mode)) return raise_gp(gate_error(event.vector));
  if (event.check_dpl && d.dpl() < state.cpl()) return raise_gp(gate_error(event.vector));
  if (!d.present()) return raise(x86::kSegmentNotPresent, gate_error(event.vector));
  gate.type = d.type();
  gate.selector = d.gate_selector();
  gate.offset = d.gate_offset() | upper << 32;
  gate.ist = 0;
  gate.size = 4;
  if (long_mode) {
    gate.size = 8;
    gate.ist = d.gate_ist();
  } else if (is_16_bit(gate.type)) {
    gate.size = 2;
    gate.offset &= 0xffff;
  }
  return {};
}

/// The handler's code segment; its level is in `cpl`.
Outcome<CodeSegment> read_handler(Cpu& cpu, const Gate& gate, unsigned& cpl) {
  const State& state = cpu.state;
  const CodeSegment code = EIDOLON_TRY(read_code_segment(cpu, gate.selector));
  if (code.descriptor.dpl() > state.cpl()) return raise_gp(code.error());
  if (state.long_mode() && !code.is_long(state)) return raise_gp(code.error());
  EIDOLON_TRY(check_present(code));
  cpl = code.conforming() ? state.cpl() : code.descriptor.dpl();
  if (state.virtual_8086() && cpl != 0) return raise_gp(code.error());
  return code;
}

/// The stack that the handler starts on.
Outcome<> handler_stack(Cpu& cpu, const Gate& gate, unsigned cpl, Stack::Other& stack) {
  const State& state = cpu.state;
  const bool switches = cpl < state.cpl();
  if (!state.long_mode()) {
    stack = switches ? as_other(EIDOLON_TRY(inner_stack(cpu, cpl)), false)
                     : Stack::Other{state.segment[x86::kSs], state.gpr[x86::kRsp], false, stack_view(cpl), 0};
    return {};
  }
  stack.segment = switches ? null_segment(static_cast<uint16_t>(cpl), cpl) : state.segment[x86::kSs];
  stack.pointer = state.gpr[x86::kRsp];
  stack.long_code = true;
  stack.view = stack_view(cpl);
  stack.error = 0;
  if (gate.ist != 0) {
    stack.pointer = EIDOLON_TRY(interrupt_stack(cpu, gate.ist));
  } else if (switches) {
    stack.pointer = EIDOLON_TRY(inner_stack(cpu, cpl)).pointer;
  }
  // The pointer itself is checked, not only where the frame goes: just above the lower half it would go back
  // into it.
  if (!is_canonical(stack.pointer)) return raise(x86::kStackFault);
  stack.pointer &= ~uint64_t{15};
  return {};
}

/// push_frame in 64-bit mode, if the whole frame lies where plain stores will do.
[[nodiscard]] bool store_frame(const State& state, Stack& stack, const GateEvent& event) {
  const uint64_t resume = event.set_resume_flag ? x86::kFlagRf : 0;
  const std::array<uint64_t, 6> words = {event.error.value_or(0),
                                         state.rip,
                                         state.segment[x86::kCs].selector,
                                         state.rflags | resume,
                                         state.gpr[x86::kRsp],
                                         state.segment[x86::kSs].selector};
  const unsigned first = event.error ? 0 : 1;
  const auto bytes = static_cast<unsigned>((words.size() - first) * sizeof(uint64_t));
  uint8_t* to = stack.room_below(bytes);
  if (to == nullptr) return false;
  for (unsigned i = first; i < words.size(); ++i, to += sizeof(uint64_t))
    std::memcpy(to, &words[i], sizeof(uint64_t));
  stack.cover(bytes);
  return true;
}

/// The frame of the handler. A change of level, and 64-bit mode always, saves SS:RSP too; virtual-8086 mode
/// the data segments before them.
Outcome<> push_frame(const State& state, Stack& stack, const Gate& gate, bool with_stack,
                     const GateEvent& event) {
  const unsigned size = gate.size;
  if (size == 8 && store_frame(state, stack, event)) return {};
  if (state.virtual_8086()) {
    for (const x86::Segment segment : {x86::kGs, x86::kFs, x86::kDs, x86::kEs})
      EIDOLON_TRY(stack.push(state.segment[segment].selector, size));
  }
  if (with_stack) {
    EIDOLON_TRY(stack.push(state.segment[x86::kSs].selector, size));
    EIDOLON_TRY(stack.push(state.gpr[x86::kRsp], size));
  }
  const uint64_t resume = event.set_resume_flag ? x86::kFlagRf : 0;
  EIDOLON_TRY(stack.push(state.rflags | resume, size));
  EIDOLON_TRY(stack.push(state.segment[x86::kCs].selector, size));
  EIDOLON_TRY(stack.push(state.rip, size));
  if (event.error) EIDOLON_TRY(stack.push(*event.error, size));
  return {};
}

Outcome<> enter_handler(Cpu& cpu, const Gate& gate, const GateEvent& event) {
  State& state = cpu.state;
  unsigned cpl = 0;
  const CodeSegment code = EIDOLON_TRY(read_handler(cpu, gate, cpl));
  const bool switches = cpl < state.cpl();
  Stack::Other target;
  EIDOLON_TRY(handler_stack(cpu, gate, cpl, target));
  EIDOLON_TRY(check_code_offset(state, code, gate.offset));
  Stack stack(cpu, target);
  EIDOLON_TRY(push_frame(state, stack, gate, switches || state.long_mode(), event));
  EIDOLON_TRY(mark_accessed(cpu, code.selector, code.descriptor));

  if (state.virtual_8086()) {
    for (const x86::Segment segment : {x86::kGs, x86::kFs, x86::kDs, x86::kEs})
      state.segment[segment] = null_segment(0);
  }
  uint64_t cleared = x86::kFlagTf | x86::kFlagNt | x86::kFlagVm | x86::kFlagRf;
  if (is_interrupt_gate(gate)) cleared |= x86::kFlagIf;
  replace_flags(state, 0, cleared);
  state.segment[x86::kSs] = target.segment;
  stack.commit();
  enter_code(state, code, cpl, gate.offset);
  return {};
}

}  // namespace

Outcome<> enter_through_idt(Cpu& cpu, const GateEvent& event) {
  Gate gate;
  EIDOLON_TRY(read_gate(cpu, event, gate));
  if (gate.type != x86::kTaskGate) return enter_handler(cpu, gate, event);
  return task_interrupt(cpu, gate.selector, event.set_resume_flag, event.error);
}

}  // namespace eidolon::cpu
