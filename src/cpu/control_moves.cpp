// MOV to and from control and debug registers, LMSW, SMSW, CLTS, XGETBV, XSETBV (SDM volume 2).
#include "base/try.h"
#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/handlers.h"
#include "cpu/state_image.h"

namespace eidolon::cpu::handlers {

namespace {

using namespace x86;

[[nodiscard]] uint64_t read_control_register(const Operation& op, unsigned number) {
  const State& state = op.state;
  switch (number) {
    case 0:
      return state.control.cr0;
    case 2:
      return state.cr2;
    case 3:
      return state.control.cr3;
    case 4:
      return state.control.cr4;
    default:
      op.cpu.release_extended_state();
      return op.cpu.interrupts != nullptr ? op.cpu.interrupts->task_priority() : 0;
  }
}

Outcome<> write_task_priority(Cpu& cpu, uint64_t value) {
  if (value > 15) return raise_gp();
  cpu.release_extended_state();
  if (cpu.interrupts != nullptr) cpu.interrupts->set_task_priority(static_cast<uint8_t>(value));
  return {};
}

Outcome<> write_control_register(const Operation& op, unsigned number, uint64_t value) {
  switch (number) {
    case 0:
      return write_cr0(op.cpu, value);
    case 2:
      op.state.cr2 = value;
      return {};
    case 3:
      return write_cr3(op.cpu, value);
    case 4:
      return write_cr4(op.cpu, value);
    default:
      return write_task_priority(op.cpu, value);
  }
}

/// Control registers 1, 5, 6, 7 and 9 to 15 do not exist; the decoder refuses them too.
[[nodiscard]] bool control_register_exists(unsigned number) {
  return number == 0 || (number >= 2 && number <= 4) || number == 8;
}

Outcome<> move_control(const Operation& op, bool to_control) {
  const unsigned index = to_control ? 0 : 1;
  const auto number = register_number(op.operand(index), ZYDIS_REGISTER_CR0);
  if (!control_register_exists(number)) return raise_ud();
  EIDOLON_TRY(op.require_ring0());
  const unsigned size = op.instruction.code_size == isa::CodeSize::k64 ? 8 : 4;
  if (to_control) return write_control_register(op, number, EIDOLON_TRY(op.read(1, size)));
  return op.write(0, read_control_register(op, number), size);
}

Outcome<> move_debug(const Operation& op, bool to_debug) {
  const auto number = register_number(op.operand(to_debug ? 0 : 1), ZYDIS_REGISTER_DR0);
  const bool aliased = number == 4 || number == 5;
  if (number > 7 || (aliased && (op.state.control.cr4 & kCr4De) != 0)) return raise_ud();
  EIDOLON_TRY(op.require_ring0());
  if ((op.state.dr7 & kDr7GeneralDetect) != 0) return std::unexpected(general_detect_fault());
  const unsigned size = op.instruction.code_size == isa::CodeSize::k64 ? 8 : 4;
  if (to_debug) return write_debug_register(op.state, number, EIDOLON_TRY(op.read(1, size)));
  return op.write(0, read_debug_register(op.state, number), size);
}

}  // namespace

Outcome<> move(Operation& op) {
  const ZydisDecodedInstruction& zydis = op.instruction.zydis;
  if (zydis.opcode_map == ZYDIS_OPCODE_MAP_0F) {
    switch (zydis.opcode) {
      case 0x20:
        return move_control(op, false);
      case 0x21:
        return move_debug(op, false);
      case 0x22:
        return move_control(op, true);
      case 0x23:
        return move_debug(op, true);
      default:
        return raise_ud();
    }
  }
  if (zydis.opcode == 0x8c) return move_from_segment(op);
  if (zydis.opcode == 0x8e) return move_to_segment(op);
  return raise_ud();
}

Outcome<> clts(Operation& op) {
  EIDOLON_TRY(op.require_ring0());
  op.state.control.cr0 &= ~kCr0Ts;
  return {};
}

Outcome<> lmsw(Operation& op) {
  EIDOLON_TRY(op.require_ring0());
  const uint64_t value = EIDOLON_TRY(op.read(0, 2));
  // PE can be set but not cleared.
  constexpr uint64_t kLoaded = kCr0Mp | kCr0Em | kCr0Ts;
  const uint64_t cr0 = op.state.control.cr0;
  return write_cr0(op.cpu, (cr0 & ~kLoaded) | (value & (kLoaded | kCr0Pe)));
}

Outcome<> smsw(Operation& op) {
  if ((op.state.control.cr4 & kCr4Umip) != 0) EIDOLON_TRY(op.require_ring0());
  return op.write(0, op.state.control.cr0, op.is_memory(0) ? 2 : op.operand_size());
}

Outcome<> xgetbv(Operation& op) {
  if ((op.state.control.cr4 & kCr4OsXsave) == 0) return raise_ud();
  const auto index = static_cast<uint32_t>(op.state.gpr[kRcx]);
  if (index == 0) {
    op.set_edx_eax(op.state.xcr0);
    return {};
  }
  if (index != 1 || !op.cpu.model.has(CpuidModel::Feature::kXgetbv1)) return raise_gp();
  op.set_edx_eax(op.state.xcr0 & image::in_use(op.cpu.model, op.state.fpu));
  return {};
}

Outcome<> xsetbv(Operation& op) {
  if ((op.state.control.cr4 & kCr4OsXsave) == 0) return raise_ud();
  EIDOLON_TRY(op.require_ring0());
  if (static_cast<uint32_t>(op.state.gpr[kRcx]) != 0) return raise_gp();
  return write_xcr0(op.cpu, op.edx_eax());
}

}  // namespace eidolon::cpu::handlers
