// IN, OUT, INS and OUTS (SDM volume 2). A repeated INS or OUTS does a bounded number of iterations at a time
// and then leaves RIP where it is, so that events are seen; a fault leaves what the iterations before it did.
#include "cpu/port_io.h"

#include "base/bits.h"
#include "base/try.h"
#include "cpu/debug.h"
#include "cpu/handlers.h"

namespace eidolon::cpu {

namespace {

constexpr uint64_t kIoMapBaseOffset = 102;  ///< in the 32- and the 64-bit TSS

Outcome<> check_permission_map(Cpu& cpu, uint16_t port, unsigned size) {
  const SegmentRegister& tr = cpu.state.tr;
  const unsigned type = tr.attributes & x86::kAttrType;
  const bool usable = tr.usable() && (type == x86::kTss32Busy || type == x86::kTss32Available);
  if (!usable || tr.limit < kIoMapBaseOffset + 1) return raise_gp();
  const auto map_base =
      EIDOLON_TRY(read_linear<uint16_t>(cpu, tr.base + kIoMapBaseOffset, mmu::View::kSupervisor));
  // Two bytes are always read, as the ports may straddle a byte of the map.
  const uint64_t offset = map_base + port / 8u;
  if (offset + 1 > tr.limit) return raise_gp();
  const auto map = EIDOLON_TRY(read_linear<uint16_t>(cpu, tr.base + offset, mmu::View::kSupervisor));
  if (((map >> (port & 7u)) & mask_below(size)) != 0) return raise_gp();
  return {};
}

}  // namespace

Outcome<> check_io_permission(Cpu& cpu, uint16_t port, unsigned size) {
  const State& state = cpu.state;
  if (!state.protected_mode()) return {};
  if (!state.virtual_8086() && state.cpl() <= state.iopl()) return {};
  return check_permission_map(cpu, port, size);
}

namespace handlers {

namespace {

constexpr unsigned kIterationsAtOnce = 256;

/// The operand that is not the accumulator: an 8-bit immediate or DX.
[[nodiscard]] uint16_t port_of(const Operation& op, unsigned index) {
  const ZydisDecodedOperand& operand = op.operand(index);
  if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) return static_cast<uint8_t>(operand.imm.value.u);
  return static_cast<uint16_t>(op.state.gpr[x86::kRdx]);
}

[[nodiscard]] unsigned element_size(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_OUTSB:
      return 1;
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_OUTSW:
      return 2;
    default:
      return 4;
  }
}

/// The memory operand of INS or OUTS; both have exactly one.
[[nodiscard]] const ZydisDecodedOperand& string_operand(const Operation& op) {
  return op.is_memory(0) ? op.operand(0) : op.operand(1);
}

/// Moves an index or a counter register in the width of the address size.
void advance(State& state, x86::Gpr reg, uint64_t delta, unsigned address_width) {
  const uint64_t value = state.gpr[reg] + delta;
  write_gpr(state, reg, address_width == 16 ? value & 0xffff : value, address_width / 8);
}

uint64_t read_port(const Operation& op, uint16_t port, unsigned size) {
  op.cpu.release_extended_state();
  return op.cpu.ports.read(port, size);
}

void write_port(const Operation& op, uint16_t port, unsigned size, uint64_t value) {
  op.cpu.release_extended_state();
  op.cpu.ports.write(port, size, value);
}

Outcome<> in_once(Operation& op, uint16_t port, unsigned size) {
  const uint64_t linear = EIDOLON_TRY(op.address(string_operand(op), size, mmu::Access::kWrite));
  // Reading a port may have effects, so the store must not be able to fail after it.
  EIDOLON_TRY(probe_write_linear(op.cpu, linear, size, op.cpu.data_view()));
  const uint64_t value = read_port(op, port, size);
  EIDOLON_TRY(write_linear(op.cpu, linear, &value, size, op.cpu.data_view()));
  if (breakpoints_enabled(op.state)) note_data_access(op.state, linear, size, true);
  return {};
}

Outcome<> out_once(Operation& op, uint16_t port, unsigned size) {
  uint64_t value = 0;
  EIDOLON_TRY(op.read_memory(string_operand(op), &value, size));
  write_port(op, port, size, value);
  return {};
}

template <typename Once>
Outcome<> repeat(Operation& op, x86::Gpr index, Once once) {
  State& state = op.state;
  const unsigned width = op.instruction.zydis.address_width;
  const unsigned size = element_size(op.instruction.mnemonic());
  const auto port = static_cast<uint16_t>(state.gpr[x86::kRdx]);
  const uint64_t step = (state.rflags & x86::kFlagDf) != 0 ? uint64_t{0} - size : size;
  const bool repeated =
      (op.instruction.zydis.attributes &
       (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE | ZYDIS_ATTRIB_HAS_REPNZ)) != 0;

  EIDOLON_TRY(check_io_permission(op.cpu, port, size));
  const bool watched = (state.rflags & x86::kFlagTf) != 0 || breakpoints_enabled(state);
  unsigned left_now = !repeated || watched ? 1 : kIterationsAtOnce;
  while (left_now-- > 0) {
    if (repeated && (state.gpr[x86::kRcx] & mask_below(width)) == 0) break;
    EIDOLON_TRY(once(op, port, size));
    if (breakpoints_enabled(state)) note_port_access(state, port, size);
    advance(state, index, step, width);
    if (repeated) advance(state, x86::kRcx, ~uint64_t{0}, width);
  }
  if (!repeated || (state.gpr[x86::kRcx] & mask_below(width)) == 0) state.rip = op.next_rip();
  return {};
}

}  // namespace

Outcome<> in(Operation& op) {
  const uint16_t port = port_of(op, 1);
  const unsigned size = op.operand(0).size / 8u;  // 4 even with REX.W
  EIDOLON_TRY(check_io_permission(op.cpu, port, size));
  write_gpr(op.state, x86::kRax, read_port(op, port, size), size);
  if (breakpoints_enabled(op.state)) note_port_access(op.state, port, size);
  return {};
}

Outcome<> out(Operation& op) {
  const uint16_t port = port_of(op, 0);
  const unsigned size = op.operand(1).size / 8u;
  EIDOLON_TRY(check_io_permission(op.cpu, port, size));
  write_port(op, port, size, op.state.gpr[x86::kRax] & mask_below(size * 8));
  if (breakpoints_enabled(op.state)) note_port_access(op.state, port, size);
  return {};
}

Outcome<> ins(Operation& op) { return repeat(op, x86::kRdi, in_once); }
Outcome<> outs(Operation& op) { return repeat(op, x86::kRsi, out_once); }

}  // namespace handlers

}  // namespace eidolon::cpu
