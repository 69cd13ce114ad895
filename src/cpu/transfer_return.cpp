// Far RET: to the same level, or to an outer one (SDM volume 2, RET).
#include "base/try.h"
#include "cpu/transfer.h"
#include "cpu/transfer_code.h"

namespace eidolon::cpu {

namespace {

/// Loads the caller's CS:RIP and SS:RSP; `released` bytes of parameters are on its stack too.
Outcome<> return_to_outer(Cpu& cpu, Stack& stack, const CodeSegment& code, uint64_t offset, unsigned size,
                          uint64_t released) {
  State& state = cpu.state;
  const uint64_t pointer = EIDOLON_TRY(stack.pop(size));
  const auto selector = static_cast<uint16_t>(EIDOLON_TRY(stack.pop(size)));
  const SegmentRegister outer = EIDOLON_TRY(read_return_stack(cpu, selector, code));
  EIDOLON_TRY(check_code_offset(state, code, offset));
  EIDOLON_TRY(mark_accessed(cpu, code.selector, code.descriptor));
  const unsigned cpl = x86::selector_rpl(code.selector);
  const uint64_t mask = stack_mask(outer, code.is_long(state));
  enter_code(state, code, cpl, offset);
  state.segment[x86::kSs] = outer;
  set_stack_pointer(state, pointer + released, mask);
  drop_privileged_segments(state, cpl);
  return {};
}

}  // namespace

Outcome<> far_return(Cpu& cpu, unsigned operand_size, uint64_t extra_bytes) {
  State& state = cpu.state;
  Stack stack(cpu);
  const uint64_t offset = EIDOLON_TRY(stack.pop(operand_size));
  const auto selector = static_cast<uint16_t>(EIDOLON_TRY(stack.pop(operand_size)));
  stack.skip(extra_bytes);
  if (state.real_or_v86()) {
    if (offset > state.segment[x86::kCs].limit) return raise_gp();
    load_real_segment(state, x86::kCs, selector);
    stack.commit();
    state.rip = offset;
    return {};
  }

  const CodeSegment code = EIDOLON_TRY(read_return_segment(cpu, selector));
  if (x86::selector_rpl(selector) > state.cpl())
    return return_to_outer(cpu, stack, code, offset, operand_size, extra_bytes);
  EIDOLON_TRY(check_code_offset(state, code, offset));
  EIDOLON_TRY(mark_accessed(cpu, selector, code.descriptor));
  stack.commit();
  enter_code(state, code, state.cpl(), offset);
  return {};
}

}  // namespace eidolon::cpu
