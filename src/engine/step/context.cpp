#include "engine/step/context.h"

#include "cpu/stack.h"
#include "isa/liveness.h"

namespace eidolon::engine::step {

using cpu::Outcome;

namespace {

template <typename T>
Outcome<uint64_t> load_as(cpu::Cpu& cpu, uint64_t linear) {
  return uint64_t{EIDOLON_TRY(cpu::read_linear<T>(cpu, linear, cpu.data_view()))};
}

}  // namespace

Outcome<uint64_t> Context::load(x86::Segment segment, uint64_t offset, unsigned size) {
  const uint64_t address = EIDOLON_TRY(linear(segment, offset, size, mmu::Access::kRead));
  EIDOLON_TRY(check_access(address, size, size, false));
  switch (size) {
    case 1:
      return load_as<uint8_t>(cpu, address);
    case 2:
      return load_as<uint16_t>(cpu, address);
    case 4:
      return load_as<uint32_t>(cpu, address);
    default:
      return load_as<uint64_t>(cpu, address);
  }
}

Outcome<> Context::store(x86::Segment segment, uint64_t offset, uint64_t value, unsigned size) {
  const uint64_t address = EIDOLON_TRY(linear(segment, offset, size, mmu::Access::kWrite));
  EIDOLON_TRY(check_access(address, size, size, true));
  const mmu::View view = cpu.data_view();
  switch (size) {
    case 1:
      return cpu::write_linear(cpu, address, static_cast<uint8_t>(value), view);
    case 2:
      return cpu::write_linear(cpu, address, static_cast<uint16_t>(value), view);
    case 4:
      return cpu::write_linear(cpu, address, static_cast<uint32_t>(value), view);
    default:
      return cpu::write_linear(cpu, address, value, view);
  }
}

Outcome<> Context::probe_store(x86::Segment segment, uint64_t offset, unsigned size) {
  const uint64_t address = EIDOLON_TRY(linear(segment, offset, size, mmu::Access::kWrite));
  EIDOLON_TRY(check_access(address, size, size, true));
  return cpu::probe_write_linear(cpu, address, size, cpu.data_view());
}

Outcome<> Context::push(uint64_t value, unsigned size) {
  const uint64_t mask = cpu::stack_mask(state);
  const uint64_t pointer = (state.gpr[x86::kRsp] - size) & mask;
  EIDOLON_TRY(store(x86::kSs, pointer, value, size));
  write_masked(x86::kRsp, pointer, mask);
  return {};
}

Outcome<uint64_t> Context::pop(unsigned size) {
  const uint64_t mask = cpu::stack_mask(state);
  const uint64_t pointer = state.gpr[x86::kRsp] & mask;
  const uint64_t value = EIDOLON_TRY(load(x86::kSs, pointer, size));
  write_masked(x86::kRsp, pointer + size, mask);
  return value;
}

uint64_t Context::read_register(ZydisRegister reg) const {
  const uint64_t whole = state.gpr[static_cast<unsigned>(isa::gpr_index(reg))];
  if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) return whole >> 8 & 0xff;
  switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
      return whole & 0xff;
    case ZYDIS_REGCLASS_GPR16:
      return whole & 0xffff;
    case ZYDIS_REGCLASS_GPR32:
      return whole & 0xffffffff;
    default:
      return whole;
  }
}

void Context::write_register(ZydisRegister reg, uint64_t value) {
  uint64_t& whole = state.gpr[static_cast<unsigned>(isa::gpr_index(reg))];
  if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
    whole = (whole & ~uint64_t{0xff00}) | (value & 0xff) << 8;
    return;
  }
  switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
      whole = (whole & ~uint64_t{0xff}) | (value & 0xff);
      break;
    case ZYDIS_REGCLASS_GPR16:
      whole = (whole & ~uint64_t{0xffff}) | (value & 0xffff);
      break;
    case ZYDIS_REGCLASS_GPR32:
      whole = value & 0xffffffff;
      break;
    default:
      whole = value;
  }
}

Outcome<uint64_t> Context::read_operand(const Operation& operation, const ZydisDecodedOperand& operand) {
  switch (operand.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
      return read_register(operand.reg.value);
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      return operand.imm.value.u;
    default:
      return load(operation.address.segment, offset(operation.address), operand.size / 8u);
  }
}

}  // namespace eidolon::engine::step
