// From the decoded instruction to the routines of transfer.h, event.h and system_call.h.
#include <cstring>

#include "base/try.h"
#include "cpu/event.h"
#include "cpu/handlers.h"
#include "cpu/system_call.h"
#include "cpu/transfer.h"

namespace eidolon::cpu::handlers {

namespace {

struct FarPointer {
  uint16_t selector;
  uint64_t offset;
};

Outcome<FarPointer> far_operand(const Operation& op) {
  const ZydisDecodedOperand& operand = op.operand(0);
  if (operand.type == ZYDIS_OPERAND_TYPE_POINTER) {
    return FarPointer{operand.ptr.segment, operand.ptr.offset};
  }
  const unsigned size = op.operand_size();
  uint8_t image[10];
  EIDOLON_TRY(op.read_memory(operand, image, size + 2));
  FarPointer pointer{};
  std::memcpy(&pointer.offset, image, size);
  std::memcpy(&pointer.selector, image + size, 2);
  return pointer;
}

[[nodiscard]] bool is_far(const Operation& op) {
  return op.instruction.zydis.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

/// software_interrupt wants RIP past the instruction; a fault goes back to it, unless a task switch on the
/// way has already given the new task's.
Outcome<> interrupt(Operation& op, uint8_t vector, InterruptInstruction instruction) {
  const uint64_t rip = op.state.rip;
  op.state.rip = op.next_rip();
  auto done = software_interrupt(op.cpu, vector, instruction);
  if (!done && !done.error().trap) op.state.rip = rip;
  return done;
}

}  // namespace

Outcome<> call(Operation& op) {
  if (!is_far(op)) return raise_ud();
  const FarPointer target = EIDOLON_TRY(far_operand(op));
  return far_call(op.cpu, target.selector, target.offset, op.operand_size(), op.next_rip());
}

Outcome<> jmp(Operation& op) {
  if (!is_far(op)) return raise_ud();
  const FarPointer target = EIDOLON_TRY(far_operand(op));
  return far_jump(op.cpu, target.selector, target.offset, op.operand_size(), op.next_rip());
}

Outcome<> ret(Operation& op) {
  if (!is_far(op)) return raise_ud();
  const bool releases = op.instruction.zydis.operand_count_visible > 0;
  const uint64_t extra = releases ? op.operand(0).imm.value.u & 0xffff : 0;
  return far_return(op.cpu, op.operand_size(), extra);
}

Outcome<> iret(Operation& op) { return interrupt_return(op.cpu, op.operand_size(), op.next_rip()); }

Outcome<> int_n(Operation& op) {
  return interrupt(op, static_cast<uint8_t>(op.operand(0).imm.value.u), InterruptInstruction::kIntN);
}
Outcome<> int1(Operation& op) { return interrupt(op, x86::kDebug, InterruptInstruction::kInt1); }
Outcome<> int3(Operation& op) { return interrupt(op, x86::kBreakpoint, InterruptInstruction::kInt3); }

Outcome<> into(Operation& op) {
  if ((op.state.rflags & x86::kFlagOf) != 0)
    return interrupt(op, x86::kOverflow, InterruptInstruction::kInto);
  op.state.rip = op.next_rip();
  return {};
}

Outcome<> syscall(Operation& op) { return cpu::syscall(op.cpu, op.next_rip()); }
Outcome<> sysret(Operation& op) { return cpu::sysret(op.cpu, op.operand_size() == 8 ? 8 : 4); }
Outcome<> sysenter(Operation& op) { return cpu::sysenter(op.cpu); }
Outcome<> sysexit(Operation& op) { return cpu::sysexit(op.cpu, op.operand_size() == 8 ? 8 : 4); }
Outcome<> swapgs(Operation& op) { return cpu::swapgs(op.cpu); }

}  // namespace eidolon::cpu::handlers
