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

uint64_t address_register(const State& state, const isa::Instruction& instruction, ZydisRegister reg) {
  if (reg == ZYDIS_REGISTER_NONE) return 0;
  if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) return state.rip + instruction.length();
  const ZydisRegisterClass klass = ZydisRegisterGetClass(reg);
  // Vector indices are the caller's: only the base counts here.
  if (klass != ZYDIS_REGCLASS_GPR16 && klass != ZYDIS_REGCLASS_GPR32 && klass != ZYDIS_REGCLASS_GPR64)
    return 0;
  const uint64_t value = state.gpr[static_cast<unsigned>(ZydisRegisterGetId(reg)) & 15];
  if (klass == ZYDIS_REGCLASS_GPR64) return value;
  return value & (klass == ZYDIS_REGCLASS_GPR32 ? 0xffffffff : 0xffff);
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
