// Near control flow (SDM volume 2: JMP, Jcc, CALL, RET, LOOP, JrCXZ). In 64-bit mode near branches are 64
// bits wide whatever the operand-size prefix says on Intel's processors; on AMD's it makes them, and what
// they push and pop, 16 bits wide (APM volume 3). The decoder knows which.
#include "engine/step/context.h"

namespace eidolon::engine::step {

using cpu::Outcome;

namespace {

uint64_t truncate(const Operation& operation, uint64_t target) {
  return target & mask_below(operation.operand_size * 8u);
}

uint64_t relative_target(const Context& context, const Operation& operation) {
  return truncate(operation, context.next_rip + operation.instruction.operands[0].imm.value.u);
}

Outcome<> jump_relative(Context& context, const Operation& operation) {
  const uint64_t target = relative_target(context, operation);
  EIDOLON_TRY(context.check_target(target));
  context.state.rip = target;
  return {};
}

Outcome<> jump_if(Context& context, const Operation& operation, bool taken) {
  if (taken) return jump_relative(context, operation);
  context.advance();
  return {};
}

/// The conditions in the order of their encoding; odd ones are the negation of the one before.
bool condition(uint64_t flags, unsigned code) {
  const bool carry = flags & x86::kFlagCf, zero = flags & x86::kFlagZf, sign = flags & x86::kFlagSf;
  const bool overflow = flags & x86::kFlagOf;
  bool result = false;
  switch (code >> 1 & 7) {
    case 0:
      result = overflow;
      break;
    case 1:
      result = carry;
      break;
    case 2:
      result = zero;
      break;
    case 3:
      result = carry || zero;
      break;
    case 4:
      result = sign;
      break;
    case 5:
      result = flags & x86::kFlagPf;
      break;
    case 6:
      result = sign != overflow;
      break;
    default:
      result = zero || sign != overflow;
  }
  return result != ((code & 1) != 0);
}

Outcome<> run_jcc(Context& context, const Operation& operation) {
  return jump_if(context, operation, condition(context.state.rflags, operation.instruction.zydis.opcode));
}

Outcome<> run_jump(Context& context, const Operation& operation) {
  const ZydisDecodedOperand& target = operation.instruction.operands[0];
  if (target.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) return jump_relative(context, operation);
  const uint64_t address = truncate(operation, EIDOLON_TRY(context.read_operand(operation, target)));
  EIDOLON_TRY(context.check_target(address));
  context.state.rip = address;
  return {};
}

Outcome<> run_call(Context& context, const Operation& operation) {
  const ZydisDecodedOperand& target = operation.instruction.operands[0];
  const uint64_t address = target.type == ZYDIS_OPERAND_TYPE_IMMEDIATE
                               ? relative_target(context, operation)
                               : truncate(operation, EIDOLON_TRY(context.read_operand(operation, target)));
  const uint64_t pointer = context.state.gpr[x86::kRsp];
  const unsigned size = operation.operand_size;
  if (context.rules.faulting_call_stores_nothing) {
    EIDOLON_TRY(context.probe_store(x86::kSs, (pointer - size) & cpu::stack_mask(context.state), size));
    EIDOLON_TRY(context.check_target(address));
  }
  // Else the return address is stored even if the target then faults.
  EIDOLON_TRY(context.push(context.next_rip, size));
  if (const auto good = context.check_target(address); !good) {
    context.state.gpr[x86::kRsp] = pointer;
    return good;
  }
  context.state.rip = address;
  return {};
}

Outcome<> run_return(Context& context, const Operation& operation) {
  const uint64_t mask = cpu::stack_mask(context.state);
  const uint64_t pointer = context.state.gpr[x86::kRsp] & mask;
  const unsigned size = operation.operand_size;
  const uint64_t target = EIDOLON_TRY(context.load(x86::kSs, pointer, size));
  EIDOLON_TRY(context.check_target(target));
  const ZydisDecodedOperand& released = operation.instruction.operands[0];
  const bool releases = operation.instruction.zydis.operand_count_visible > 0;
  context.write_masked(x86::kRsp, pointer + size + (releases ? released.imm.value.u & 0xffff : 0), mask);
  context.state.rip = target;
  return {};
}

/// LOOP, LOOPE, LOOPNE count in CX, ECX or RCX by address size.
Outcome<> run_loop(Context& context, const Operation& operation) {
  const uint64_t mask = operation.address_mask();
  const uint64_t count = (context.state.gpr[x86::kRcx] - 1) & mask;
  const bool zero = context.state.rflags & x86::kFlagZf;
  bool taken = count != 0;
  if (operation.instruction.mnemonic() == ZYDIS_MNEMONIC_LOOPE) taken = taken && zero;
  if (operation.instruction.mnemonic() == ZYDIS_MNEMONIC_LOOPNE) taken = taken && !zero;
  EIDOLON_TRY(jump_if(context, operation, taken));
  context.write_masked(x86::kRcx, count, mask);
  return {};
}

Outcome<> run_jump_if_no_count(Context& context, const Operation& operation) {
  return jump_if(context, operation, (context.state.gpr[x86::kRcx] & operation.address_mask()) == 0);
}

}  // namespace

Handler choose_branch(const isa::Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_JMP:
      return run_jump;
    case ZYDIS_MNEMONIC_CALL:
      return run_call;
    case ZYDIS_MNEMONIC_RET:
      return run_return;
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
      return run_loop;
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
      return run_jump_if_no_count;
    default:
      return run_jcc;
  }
}

}  // namespace eidolon::engine::step
