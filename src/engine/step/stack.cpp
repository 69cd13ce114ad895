// Pushes and pops of general registers, immediates and memory, and procedure frames (SDM volume 2: PUSH, POP,
// PUSHA, POPA, ENTER, LEAVE). RSP changes only once nothing can fault any more.
#include <array>

#include "engine/step/context.h"

namespace eidolon::engine::step {

using cpu::Outcome;

namespace {

Outcome<> run_push(Context& context, const Operation& operation) {
  const uint64_t value = EIDOLON_TRY(context.read_operand(operation, operation.instruction.operands[0]));
  EIDOLON_TRY(context.push(value, operation.operand_size));
  context.advance();
  return {};
}

Outcome<> run_pop(Context& context, const Operation& operation) {
  const ZydisDecodedOperand& target = operation.instruction.operands[0];
  const unsigned size = operation.operand_size;
  const uint64_t saved = context.state.gpr[x86::kRsp];
  const uint64_t value = EIDOLON_TRY(context.pop(size));
  if (target.type == ZYDIS_OPERAND_TYPE_REGISTER) {
    context.write_register(target.reg.value, value);
  } else {
    // An address that uses RSP sees it after the pop.
    const auto stored =
        context.store(operation.address.segment, context.offset(operation.address), value, size);
    if (!stored) {
      context.state.gpr[x86::kRsp] = saved;
      return stored;
    }
  }
  context.advance();
  return {};
}

Outcome<> run_push_all(Context& context, const Operation& operation) {
  const unsigned size = operation.operand_size;
  const std::array<uint64_t, x86::kGprCount> before = context.state.gpr;
  const uint64_t mask = cpu::stack_mask(context.state);
  // The lowest slot first: if the whole frame cannot be written, none of it is.
  for (unsigned i = 0; i < 8; ++i)
    EIDOLON_TRY(context.probe_store(x86::kSs, (before[x86::kRsp] - (i + 1) * size) & mask, size));
  for (unsigned i = 0; i < 8; ++i)
    EIDOLON_TRY(context.store(x86::kSs, (before[x86::kRsp] - (i + 1) * size) & mask, before[i], size));
  context.write_masked(x86::kRsp, before[x86::kRsp] - 8 * size, mask);
  context.advance();
  return {};
}

Outcome<> run_pop_all(Context& context, const Operation& operation) {
  const unsigned size = operation.operand_size;
  const uint64_t mask = cpu::stack_mask(context.state);
  const uint64_t pointer = context.state.gpr[x86::kRsp];
  std::array<uint64_t, 8> values{};
  for (unsigned i = 0; i < 8; ++i)
    values[i] = EIDOLON_TRY(context.load(x86::kSs, (pointer + i * size) & mask, size));
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned reg = 7 - i;
    if (reg != x86::kRsp) context.write_masked(reg, values[i], mask_below(size * 8));
  }
  context.write_masked(x86::kRsp, pointer + 8 * size, mask);
  context.advance();
  return {};
}

Outcome<> run_leave(Context& context, const Operation& operation) {
  const unsigned size = operation.operand_size;
  const uint64_t mask = cpu::stack_mask(context.state);
  const uint64_t frame = context.state.gpr[x86::kRbp] & mask;
  const uint64_t value = EIDOLON_TRY(context.load(x86::kSs, frame, size));
  context.write_masked(x86::kRsp, frame + size, mask);
  context.write_masked(x86::kRbp, value, mask_below(size * 8));
  context.advance();
  return {};
}

Outcome<> run_enter(Context& context, const Operation& operation) {
  const unsigned size = operation.operand_size;
  const auto& operands = operation.instruction.operands;
  const uint64_t locals = operands[0].imm.value.u & 0xffff;
  const unsigned level = operands[1].imm.value.u & 31;
  const uint64_t mask = cpu::stack_mask(context.state);

  uint64_t pointer = context.state.gpr[x86::kRsp];
  uint64_t parent = context.state.gpr[x86::kRbp];
  pointer -= size;
  EIDOLON_TRY(context.store(x86::kSs, pointer & mask, parent, size));
  const uint64_t frame = pointer;
  for (unsigned i = 1; i < level; ++i) {
    parent -= size;
    const uint64_t link = EIDOLON_TRY(context.load(x86::kSs, parent & mask, size));
    pointer -= size;
    EIDOLON_TRY(context.store(x86::kSs, pointer & mask, link, size));
  }
  if (level > 0) {
    pointer -= size;
    EIDOLON_TRY(context.store(x86::kSs, pointer & mask, frame, size));
  }
  pointer -= locals;
  // The manual makes ENTER fault if the new stack top could not be written.
  EIDOLON_TRY(context.probe_store(x86::kSs, pointer & mask, size));
  context.write_masked(x86::kRbp, frame, mask_below(size * 8));
  context.write_masked(x86::kRsp, pointer, mask);
  context.advance();
  return {};
}

}  // namespace

Handler choose_stack(const isa::Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_PUSH:
      return run_push;
    case ZYDIS_MNEMONIC_POP:
      return run_pop;
    case ZYDIS_MNEMONIC_PUSHA:
    case ZYDIS_MNEMONIC_PUSHAD:
      return run_push_all;
    case ZYDIS_MNEMONIC_POPA:
    case ZYDIS_MNEMONIC_POPAD:
      return run_pop_all;
    case ZYDIS_MNEMONIC_LEAVE:
      return run_leave;
    default:
      return run_enter;
  }
}

}  // namespace eidolon::engine::step
