// Effective addresses of explicit memory operands (SDM volume 1, 3.7.5; volume 2, 2.1.5 and 2.2.1.6).
#include "base/bits.h"
#include "cpu/sensitive.h"

namespace eidolon::cpu {

namespace {

x86::Segment segment_of(ZydisRegister reg) {
  switch (reg) {
    case ZYDIS_REGISTER_ES:
      return x86::kEs;
    case ZYDIS_REGISTER_CS:
      return x86::kCs;
    case ZYDIS_REGISTER_SS:
      return x86::kSs;
    case ZYDIS_REGISTER_FS:
      return x86::kFs;
    case ZYDIS_REGISTER_GS:
      return x86::kGs;
    default:
      return x86::kDs;
  }
}

static_assert(ZYDIS_REGISTER_R15W - ZYDIS_REGISTER_AX == 15);
static_assert(ZYDIS_REGISTER_R15D - ZYDIS_REGISTER_EAX == 15);
static_assert(ZYDIS_REGISTER_R15 - ZYDIS_REGISTER_RAX == 15);

/// The contribution of a base or index register. Vector indices are the caller's: they count as 0 here.
uint64_t address_register(const State& state, const isa::Instruction& instruction, ZydisRegister reg) {
  if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15) return state.gpr[reg - ZYDIS_REGISTER_RAX];
  if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D)
    return state.gpr[reg - ZYDIS_REGISTER_EAX] & 0xffffffff;
  if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W)
    return state.gpr[reg - ZYDIS_REGISTER_AX] & 0xffff;
  if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) return state.rip + instruction.length();
  return 0;
}

}  // namespace

EffectiveAddress effective_address(const State& state, const isa::Instruction& instruction,
                                   const ZydisDecodedOperand& operand) {
  const ZydisDecodedOperandMem& memory = operand.mem;
  uint64_t offset = address_register(state, instruction, memory.base);
  offset += address_register(state, instruction, memory.index) * memory.scale;
  if (memory.disp.has_displacement) offset += static_cast<uint64_t>(memory.disp.value);
  return {segment_of(memory.segment), offset & mask_below(instruction.zydis.address_width)};
}

}  // namespace eidolon::cpu
