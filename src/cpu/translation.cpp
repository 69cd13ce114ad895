// INVLPG and INVPCID (SDM volume 2; volume 3, 4.10.4.1).
#include "base/try.h"
#include "cpu/handlers.h"

namespace eidolon::cpu::handlers {

Outcome<> invlpg(Operation& op) {
  EIDOLON_TRY(op.require_ring0());
  // No access is made: the segment's limit and type are not checked, and an address that is not canonical
  // does nothing.
  const EffectiveAddress effective = effective_address(op.state, op.instruction, op.operand(0));
  const bool long_code = op.state.long_code();
  const bool flat = long_code && effective.segment != x86::kFs && effective.segment != x86::kGs;
  uint64_t linear = effective.offset + (flat ? 0 : op.state.segment[effective.segment].base);
  if (!long_code) linear &= 0xffffffff;
  if (!long_code || is_canonical(linear)) op.cpu.mmu.invalidate_page(linear);
  return {};
}

Outcome<> invpcid(Operation& op) {
  if (!op.cpu.model.has(CpuidModel::Feature::kInvpcid)) return raise_ud();
  EIDOLON_TRY(op.require_ring0());
  const uint64_t type = EIDOLON_TRY(op.read(0, op.instruction.code_size == isa::CodeSize::k64 ? 8 : 4));
  uint64_t descriptor[2];
  EIDOLON_TRY(op.read_memory(op.operand(1), descriptor, sizeof descriptor));
  const uint64_t pcid = descriptor[0];
  if (type > 3 || pcid >> 12 != 0) return raise_gp();
  if (type < 2 && pcid != 0 && (op.state.control.cr4 & x86::kCr4PcidE) == 0) return raise_gp();
  const mmu::PagingControls& control = op.state.control;
  const bool enabled = (control.cr4 & x86::kCr4PcidE) != 0;
  const bool current = !enabled || pcid == (control.cr3 & x86::kCr3PcidMask);
  switch (type) {
    case 0:
      if (!is_canonical(descriptor[1])) return raise_gp();
      if (current)
        op.cpu.mmu.invalidate_page(descriptor[1]);
      else
        op.cpu.mmu.invalidate_other_context(static_cast<uint16_t>(pcid));
      break;
    case 1:
      if (current)
        op.cpu.mmu.invalidate_non_global();
      else
        op.cpu.mmu.invalidate_other_context(static_cast<uint16_t>(pcid));
      break;
    case 3:
      op.cpu.mmu.invalidate_other_contexts();
      op.cpu.mmu.invalidate_non_global();
      break;
    default:
      op.cpu.mmu.invalidate_all();
  }
  return {};
}

}  // namespace eidolon::cpu::handlers
