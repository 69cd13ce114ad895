// MOV, PUSH and POP of segment registers, LDS to LSS, and the FS and GS bases (SDM volume 2).
#include <cstring>

#include "base/try.h"
#include "cpu/handlers.h"
#include "cpu/stack.h"

namespace eidolon::cpu::handlers {

namespace {

[[nodiscard]] x86::Segment segment_of(const ZydisDecodedOperand& operand) {
  return static_cast<x86::Segment>(register_number(operand, ZYDIS_REGISTER_ES));
}

/// MOV SS and POP SS hold back interrupts and debug exceptions until the next instruction is done, so that a
/// stack pointer can be loaded in two steps (SDM volume 3, 6.8.3).
void shadow_after_ss(Operation& op, x86::Segment segment) {
  if (segment != x86::kSs) return;
  op.state.interrupt_shadow = op.next_rip();
  op.state.shadow_blocks_debug = true;
}

[[nodiscard]] x86::Segment far_pointer_segment(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_LES:
      return x86::kEs;
    case ZYDIS_MNEMONIC_LFS:
      return x86::kFs;
    case ZYDIS_MNEMONIC_LGS:
      return x86::kGs;
    case ZYDIS_MNEMONIC_LSS:
      return x86::kSs;
    default:
      return x86::kDs;
  }
}

Outcome<> check_fsgsbase(const Operation& op) {
  const bool enabled = (op.state.control.cr4 & x86::kCr4FsGsBase) != 0;
  if (!enabled || op.instruction.code_size != isa::CodeSize::k64) return raise_ud();
  return {};
}

}  // namespace

Outcome<> move_from_segment(Operation& op) {
  const uint16_t selector = op.state.segment[segment_of(op.operand(1))].selector;
  return op.write(0, selector, op.is_memory(0) ? 2 : op.operand_size());
}

Outcome<> move_to_segment(Operation& op) {
  const x86::Segment segment = segment_of(op.operand(0));
  if (segment == x86::kCs) return raise_ud();
  const auto selector = static_cast<uint16_t>(EIDOLON_TRY(op.read(1, 2)));
  EIDOLON_TRY(load_segment(op.cpu, segment, selector));
  shadow_after_ss(op, segment);
  return {};
}

Outcome<> push(Operation& op) {
  Stack stack(op.cpu);
  EIDOLON_TRY(stack.push(op.state.segment[segment_of(op.operand(0))].selector, op.operand_size()));
  stack.commit();
  return {};
}

Outcome<> pop(Operation& op) {
  const x86::Segment segment = segment_of(op.operand(0));
  if (segment == x86::kCs) return raise_ud();
  Stack stack(op.cpu);
  const uint64_t value = EIDOLON_TRY(stack.pop(op.operand_size()));
  EIDOLON_TRY(load_segment(op.cpu, segment, static_cast<uint16_t>(value)));
  stack.commit();
  shadow_after_ss(op, segment);
  return {};
}

Outcome<> load_far_pointer(Operation& op) {
  if (!op.is_memory(1)) return raise_ud();
  const unsigned size = op.operand_size();
  uint8_t image[10];
  EIDOLON_TRY(op.read_memory(op.operand(1), image, size + 2));
  uint64_t offset = 0;
  uint16_t selector;
  std::memcpy(&offset, image, size);
  std::memcpy(&selector, image + size, 2);
  EIDOLON_TRY(load_segment(op.cpu, far_pointer_segment(op.instruction.mnemonic()), selector));
  return op.write(0, offset, size);
}

Outcome<> read_segment_base(Operation& op) {
  EIDOLON_TRY(check_fsgsbase(op));
  const bool fs = op.instruction.mnemonic() == ZYDIS_MNEMONIC_RDFSBASE;
  return op.write(0, op.state.segment[fs ? x86::kFs : x86::kGs].base, op.operand_size());
}

Outcome<> write_segment_base(Operation& op) {
  EIDOLON_TRY(check_fsgsbase(op));
  const bool fs = op.instruction.mnemonic() == ZYDIS_MNEMONIC_WRFSBASE;
  const uint64_t base = EIDOLON_TRY(op.read(0, op.operand_size()));
  if (!is_canonical(base)) return raise_gp();
  op.state.segment[fs ? x86::kFs : x86::kGs].base = base;
  return {};
}

}  // namespace eidolon::cpu::handlers
