#include "cpu/gate_call.h"

#include <algorithm>

#include "base/try.h"
#include "cpu/task_stack.h"
#include "cpu/transfer_code.h"

namespace eidolon::cpu {

namespace {

struct Target {
  CodeSegment code;
  uint64_t offset;
  unsigned size;  ///< of what is pushed: 2, 4 or 8 bytes
};

Outcome<Target> read_target(Cpu& cpu, uint16_t selector, const SystemDescriptor& gate) {
  const State& state = cpu.state;
  EIDOLON_TRY(check_gate(state, selector, gate.low));
  const CodeSegment code = EIDOLON_TRY(read_code_segment(cpu, gate.low.gate_selector()));
  if (code.descriptor.dpl() > state.cpl()) return raise_gp(code.error());
  if (state.long_mode()) {
    if (!code.is_long(state)) return raise_gp(code.error());
    return Target{code, gate.gate_offset(), 8};
  }
  if (gate.low.type() == x86::kCallGate16) return Target{code, gate.low.gate_offset() & 0xffff, 2};
  return Target{code, gate.low.gate_offset(), 4};
}

Outcome<> push_return(const State& state, Stack& stack, unsigned size, uint64_t next_rip) {
  EIDOLON_TRY(stack.push(state.segment[x86::kCs].selector, size));
  return stack.push(next_rip, size);
}

/// The parameters go to the new stack between SS:ESP and CS:EIP; a 64-bit gate has none.
Outcome<> copy_parameters(Cpu& cpu, Stack& to, const Target& target, unsigned count) {
  if (target.size == 8) return {};
  Stack from(cpu);
  for (unsigned i = count; i-- > 0;) {
    const uint64_t value = EIDOLON_TRY(from.peek(uint64_t{i} * target.size, target.size));
    EIDOLON_TRY(to.push(value, target.size));
  }
  return {};
}

Outcome<> call_inner(Cpu& cpu, const Target& target, unsigned parameters, uint64_t next_rip) {
  State& state = cpu.state;
  const unsigned cpl = target.code.descriptor.dpl();
  const InnerStack inner = EIDOLON_TRY(inner_stack(cpu, cpl));
  EIDOLON_TRY(check_code_offset(state, target.code, target.offset));
  Stack stack(cpu, as_other(inner, state.long_mode()));
  EIDOLON_TRY(stack.push(state.segment[x86::kSs].selector, target.size));
  EIDOLON_TRY(stack.push(state.gpr[x86::kRsp], target.size));
  EIDOLON_TRY(copy_parameters(cpu, stack, target, parameters));
  EIDOLON_TRY(push_return(state, stack, target.size, next_rip));
  EIDOLON_TRY(mark_accessed(cpu, target.code.selector, target.code.descriptor));
  state.segment[x86::kSs] = inner.segment;
  stack.commit();
  enter_code(state, target.code, cpl, target.offset);
  return {};
}

Outcome<> call_same(Cpu& cpu, const Target& target, uint64_t next_rip) {
  State& state = cpu.state;
  EIDOLON_TRY(check_code_offset(state, target.code, target.offset));
  // From compatibility mode the frame is already written as 64-bit code sees the stack.
  Stack stack(cpu, {.segment = state.segment[x86::kSs],
                    .pointer = state.gpr[x86::kRsp],
                    .long_code = state.long_mode(),
                    .view = cpu.data_view(),
                    .error = 0});
  EIDOLON_TRY(push_return(state, stack, target.size, next_rip));
  EIDOLON_TRY(mark_accessed(cpu, target.code.selector, target.code.descriptor));
  stack.commit();
  enter_code(state, target.code, state.cpl(), target.offset);
  return {};
}

}  // namespace

Outcome<> check_gate(const State& state, uint16_t selector, x86::Descriptor descriptor) {
  const uint32_t error = selector & 0xfffcu;
  if (descriptor.dpl() < std::max(state.cpl(), x86::selector_rpl(selector))) return raise_gp(error);
  if (!descriptor.present()) return raise(x86::kSegmentNotPresent, error);
  return {};
}

Outcome<> jump_through_gate(Cpu& cpu, uint16_t selector, const SystemDescriptor& descriptor) {
  State& state = cpu.state;
  const Target target = EIDOLON_TRY(read_target(cpu, selector, descriptor));
  if (!target.code.conforming() && target.code.descriptor.dpl() != state.cpl())
    return raise_gp(target.code.error());
  EIDOLON_TRY(check_present(target.code));
  EIDOLON_TRY(check_code_offset(state, target.code, target.offset));
  EIDOLON_TRY(mark_accessed(cpu, target.code.selector, target.code.descriptor));
  enter_code(state, target.code, state.cpl(), target.offset);
  return {};
}

Outcome<> call_through_gate(Cpu& cpu, uint16_t selector, const SystemDescriptor& descriptor,
                            uint64_t next_rip) {
  const Target target = EIDOLON_TRY(read_target(cpu, selector, descriptor));
  EIDOLON_TRY(check_present(target.code));
  if (!target.code.conforming() && target.code.descriptor.dpl() < cpu.state.cpl())
    return call_inner(cpu, target, descriptor.low.gate_parameter_count(), next_rip);
  return call_same(cpu, target, next_rip);
}

}  // namespace eidolon::cpu
