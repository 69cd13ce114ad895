// Far JMP and CALL: what the selector names decides what they do (SDM volume 2, JMP and CALL).
#include <optional>

#include "base/bits.h"
#include "base/try.h"
#include "cpu/gate_call.h"
#include "cpu/task.h"
#include "cpu/transfer.h"
#include "cpu/transfer_code.h"

namespace eidolon::cpu {

namespace {

/// Real-address and virtual-8086 mode: the limit that CS has stays.
Outcome<> enter_real(State& state, uint16_t selector, uint64_t offset) {
  if (offset > state.segment[x86::kCs].limit) return raise_gp();
  load_real_segment(state, x86::kCs, selector);
  state.rip = offset;
  return {};
}

/// A code segment that JMP or CALL names itself, without a gate.
Outcome<CodeSegment> direct_segment(Cpu& cpu, uint16_t selector, uint64_t offset) {
  const unsigned cpl = cpu.state.cpl();
  const CodeSegment code = EIDOLON_TRY(read_code_segment(cpu, selector));
  const unsigned dpl = code.descriptor.dpl();
  const bool allowed = code.conforming() ? dpl <= cpl : x86::selector_rpl(selector) <= cpl && dpl == cpl;
  if (!allowed) return raise_gp(code.error());
  EIDOLON_TRY(check_present(code));
  EIDOLON_TRY(check_code_offset(cpu.state, code, offset));
  return code;
}

/// CS and the return address on the current stack.
Outcome<> push_return(Cpu& cpu, Stack& stack, unsigned size, uint64_t next_rip) {
  EIDOLON_TRY(stack.push(cpu.state.segment[x86::kCs].selector, size));
  return stack.push(next_rip, size);
}

/// The system descriptor that `selector` names, or nullopt for code and data.
Outcome<std::optional<SystemDescriptor>> system_target(Cpu& cpu, uint16_t selector) {
  if (x86::selector_is_null(selector)) return raise_gp();
  const SystemDescriptor descriptor = EIDOLON_TRY(read_system_descriptor(cpu, selector));
  if (!descriptor.low.is_system()) return std::nullopt;
  return descriptor;
}

/// TSSs and task gates. False for what else there is, which nothing can be transferred to.
[[nodiscard]] bool is_task(const State& state, unsigned type) {
  return !state.long_mode() &&
         (type == x86::kTaskGate || type == x86::kTss16Available || type == x86::kTss32Available);
}
[[nodiscard]] bool is_call_gate(const State& state, unsigned type) {
  return type == x86::kCallGate32 || (type == x86::kCallGate16 && !state.long_mode());
}

Outcome<> switch_through(Cpu& cpu, uint16_t selector, x86::Descriptor d, TaskSwitch how, uint64_t next_rip) {
  EIDOLON_TRY(check_gate(cpu.state, selector, d));
  const uint16_t task = d.type() == x86::kTaskGate ? d.gate_selector() : selector;
  return switch_task(cpu, task, how, next_rip);
}

}  // namespace

Outcome<> far_jump(Cpu& cpu, uint16_t selector, uint64_t offset, unsigned operand_size, uint64_t next_rip) {
  State& state = cpu.state;
  offset &= mask_below(operand_size * 8);
  if (state.real_or_v86()) return enter_real(state, selector, offset);

  const std::optional<SystemDescriptor> system = EIDOLON_TRY(system_target(cpu, selector));
  if (!system) {
    const CodeSegment code = EIDOLON_TRY(direct_segment(cpu, selector, offset));
    EIDOLON_TRY(mark_accessed(cpu, selector, code.descriptor));
    enter_code(state, code, state.cpl(), offset);
    return {};
  }
  const unsigned type = system->low.type();
  if (is_call_gate(state, type)) return jump_through_gate(cpu, selector, *system);
  if (is_task(state, type)) return switch_through(cpu, selector, system->low, TaskSwitch::kJump, next_rip);
  return raise_gp(selector & 0xfffcu);
}

Outcome<> far_call(Cpu& cpu, uint16_t selector, uint64_t offset, unsigned operand_size, uint64_t next_rip) {
  State& state = cpu.state;
  offset &= mask_below(operand_size * 8);
  if (state.real_or_v86()) {
    Stack stack(cpu);
    EIDOLON_TRY(push_return(cpu, stack, operand_size, next_rip));
    EIDOLON_TRY(enter_real(state, selector, offset));
    stack.commit();
    return {};
  }

  const std::optional<SystemDescriptor> system = EIDOLON_TRY(system_target(cpu, selector));
  if (!system) {
    const CodeSegment code = EIDOLON_TRY(direct_segment(cpu, selector, offset));
    Stack stack(cpu);
    EIDOLON_TRY(push_return(cpu, stack, operand_size, next_rip));
    EIDOLON_TRY(mark_accessed(cpu, selector, code.descriptor));
    stack.commit();
    enter_code(state, code, state.cpl(), offset);
    return {};
  }
  const unsigned type = system->low.type();
  if (is_call_gate(state, type)) return call_through_gate(cpu, selector, *system, next_rip);
  if (is_task(state, type)) return switch_through(cpu, selector, system->low, TaskSwitch::kCall, next_rip);
  return raise_gp(selector & 0xfffcu);
}

}  // namespace eidolon::cpu
