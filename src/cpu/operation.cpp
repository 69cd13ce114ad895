#include "cpu/operation.h"

#include "base/bits.h"
#include "base/try.h"
#include "cpu/debug.h"

namespace eidolon::cpu {

// Zydis' enumeration has the registers of a class in the order of their numbers. (Its own function for this
// is not compiled to leave the vector registers alone.)

unsigned gpr_number(ZydisRegister reg) {
  if (reg >= ZYDIS_REGISTER_RAX) return (reg - ZYDIS_REGISTER_RAX) & 15u;
  if (reg >= ZYDIS_REGISTER_EAX) return reg - ZYDIS_REGISTER_EAX;
  if (reg >= ZYDIS_REGISTER_AX) return reg - ZYDIS_REGISTER_AX;
  if (reg >= ZYDIS_REGISTER_SPL) return reg - ZYDIS_REGISTER_SPL + 4u;
  return (reg - ZYDIS_REGISTER_AL) & 7u;
}

unsigned register_number(const ZydisDecodedOperand& operand, ZydisRegister first) {
  return static_cast<unsigned>(operand.reg.value - first);
}

void write_gpr(State& state, unsigned index, uint64_t value, unsigned size) {
  uint64_t& reg = state.gpr[index];
  if (size >= 4) {
    reg = size == 8 ? value : value & 0xffffffff;
    return;
  }
  const uint64_t mask = mask_below(size * 8);
  reg = (reg & ~mask) | (value & mask);
}

uint64_t Operation::next_rip() const {
  const uint64_t next = state.rip + instruction.length();
  switch (instruction.code_size) {
    case isa::CodeSize::k16:
      return next & 0xffff;
    case isa::CodeSize::k32:
      return next & 0xffffffff;
    case isa::CodeSize::k64:
      break;
  }
  return next;
}

Outcome<> Operation::require_ring0() const {
  if (cpl() != 0) return raise_gp();
  return {};
}

Outcome<uint64_t> Operation::address(const ZydisDecodedOperand& memory, unsigned size,
                                     mmu::Access access) const {
  const EffectiveAddress effective = effective_address(state, instruction, memory);
  const uint64_t linear = EIDOLON_TRY(linear_address(cpu, effective.segment, effective.offset, size, access));
  return linear;
}

Outcome<> Operation::read_memory(const ZydisDecodedOperand& memory, void* to, unsigned size) const {
  const uint64_t linear = EIDOLON_TRY(address(memory, size, mmu::Access::kRead));
  EIDOLON_TRY(read_linear(cpu, linear, to, size, cpu.data_view()));
  if (breakpoints_enabled(state)) note_data_access(state, linear, size, false);
  return {};
}

Outcome<> Operation::write_memory(const ZydisDecodedOperand& memory, const void* from, unsigned size) const {
  const uint64_t linear = EIDOLON_TRY(address(memory, size, mmu::Access::kWrite));
  EIDOLON_TRY(write_linear(cpu, linear, from, size, cpu.data_view()));
  if (breakpoints_enabled(state)) note_data_access(state, linear, size, true);
  return {};
}

Outcome<uint64_t> Operation::read(unsigned index, unsigned size) const {
  const ZydisDecodedOperand& source = operand(index);
  if (source.type == ZYDIS_OPERAND_TYPE_MEMORY) {
    uint64_t value = 0;
    EIDOLON_TRY(read_memory(source, &value, size));
    return value;
  }
  return state.gpr[gpr_number(source.reg.value)] & mask_below(size * 8);
}

Outcome<> Operation::write(unsigned index, uint64_t value, unsigned size) const {
  const ZydisDecodedOperand& target = operand(index);
  if (target.type == ZYDIS_OPERAND_TYPE_MEMORY) return write_memory(target, &value, size);
  write_gpr(state, gpr_number(target.reg.value), value, size);
  return {};
}

uint64_t Operation::edx_eax() const {
  return state.gpr[x86::kRdx] << 32 | (state.gpr[x86::kRax] & 0xffffffff);
}

void Operation::set_edx_eax(uint64_t value) const {
  state.gpr[x86::kRax] = value & 0xffffffff;
  state.gpr[x86::kRdx] = value >> 32;
}

}  // namespace eidolon::cpu
