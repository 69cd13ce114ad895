// Instructions that 64-bit code does not have (SDM volume 2: AAA, AAD, AAM, AAS, DAA, DAS, BOUND, ARPL; SALC
// is undocumented but everywhere).
#include "engine/step/context.h"

namespace eidolon::engine::step {

using cpu::Outcome;

namespace {

constexpr uint64_t kAl = 0xff;

void set_low_word(cpu::State& state, unsigned value) {
  state.gpr[x86::kRax] = (state.gpr[x86::kRax] & ~uint64_t{0xffff}) | (value & 0xffff);
}
void set_al(cpu::State& state, unsigned value) {
  state.gpr[x86::kRax] = (state.gpr[x86::kRax] & ~kAl) | (value & kAl);
}
unsigned al(const cpu::State& state) { return static_cast<unsigned>(state.gpr[x86::kRax] & kAl); }
unsigned ax(const cpu::State& state) { return static_cast<unsigned>(state.gpr[x86::kRax] & 0xffff); }

void assign(cpu::State& state, uint64_t flag, bool value) {
  state.rflags = value ? state.rflags | flag : state.rflags & ~flag;
}
void set_result_flags(cpu::State& state, unsigned byte) {
  assign(state, x86::kFlagSf, (byte & 0x80) != 0);
  assign(state, x86::kFlagZf, (byte & 0xff) == 0);
  assign(state, x86::kFlagPf, __builtin_parity(byte & 0xff) == 0);
}

template <bool kSubtract>
Outcome<> run_decimal_adjust(Context& context, const Operation&) {
  cpu::State& state = context.state;
  const unsigned old = al(state);
  const bool old_carry = state.rflags & x86::kFlagCf;
  const bool low = (old & 0xf) > 9 || (state.rflags & x86::kFlagAf) != 0;
  const bool high = old > 0x99 || old_carry;
  const unsigned correction = (low ? 6u : 0u) + (high ? 0x60u : 0u);
  const unsigned result = kSubtract ? old - correction : old + correction;
  const bool low_carry = low && kSubtract && old < 6;
  set_al(state, result);
  assign(state, x86::kFlagAf, low);
  assign(state, x86::kFlagCf, high || low_carry || (low && !kSubtract && old + 6 > 0xff));
  assign(state, x86::kFlagOf, false);
  set_result_flags(state, result);
  context.advance();
  return {};
}

template <bool kSubtract>
Outcome<> run_ascii_adjust(Context& context, const Operation&) {
  cpu::State& state = context.state;
  const bool adjust = (al(state) & 0xf) > 9 || (state.rflags & x86::kFlagAf) != 0;
  unsigned value = ax(state);
  if (adjust) value = kSubtract ? value - 0x106 : value + 0x106;
  set_low_word(state, (value & 0xff00) | (value & 0x0f));
  assign(state, x86::kFlagAf, adjust);
  assign(state, x86::kFlagCf, adjust);
  context.advance();
  return {};
}

Outcome<> run_aam(Context& context, const Operation& operation) {
  const auto divisor = static_cast<unsigned>(operation.instruction.operands[0].imm.value.u & 0xff);
  if (divisor == 0) return cpu::raise(x86::kDivideError);
  const unsigned value = al(context.state);
  set_low_word(context.state, value / divisor << 8 | value % divisor);
  set_result_flags(context.state, value % divisor);
  context.advance();
  return {};
}

Outcome<> run_aad(Context& context, const Operation& operation) {
  const auto factor = static_cast<unsigned>(operation.instruction.operands[0].imm.value.u & 0xff);
  const unsigned value = ax(context.state);
  const unsigned result = ((value >> 8) * factor + value) & 0xff;
  set_low_word(context.state, result);
  set_result_flags(context.state, result);
  context.advance();
  return {};
}

Outcome<> run_salc(Context& context, const Operation&) {
  set_al(context.state, (context.state.rflags & x86::kFlagCf) != 0 ? 0xff : 0);
  context.advance();
  return {};
}

Outcome<> run_bound(Context& context, const Operation& operation) {
  const unsigned size = operation.instruction.zydis.operand_width / 8u;
  const x86::Segment segment = operation.address.segment;
  const uint64_t offset = context.offset(operation.address);
  const auto number = [size](uint64_t value) { return static_cast<int64_t>(sign_extend(value, size * 8)); };
  const int64_t index = number(context.read_register(operation.instruction.operands[0].reg.value));
  const int64_t lower = number(EIDOLON_TRY(context.load(segment, offset, size)));
  if (index < lower && !context.rules.bound_loads_both) return cpu::raise(x86::kBoundRange);
  const int64_t upper =
      number(EIDOLON_TRY(context.load(segment, (offset + size) & operation.address.mask, size)));
  if (index < lower || index > upper) return cpu::raise(x86::kBoundRange);
  context.advance();
  return {};
}

Outcome<> run_arpl(Context& context, const Operation& operation) {
  const auto& operands = operation.instruction.operands;
  const uint64_t target = EIDOLON_TRY(context.read_operand(operation, operands[0]));
  const uint64_t source = context.read_register(operands[1].reg.value);
  const bool raise_level = (target & 3) < (source & 3);
  const uint64_t result = (target & ~uint64_t{3}) | (source & 3);
  if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
    if (raise_level) context.write_register(operands[0].reg.value, result);
  } else if (raise_level) {
    EIDOLON_TRY(context.store(operation.address.segment, context.offset(operation.address), result, 2));
  }
  assign(context.state, x86::kFlagZf, raise_level);
  context.advance();
  return {};
}

}  // namespace

Handler choose_legacy(const isa::Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_DAA:
      return run_decimal_adjust<false>;
    case ZYDIS_MNEMONIC_DAS:
      return run_decimal_adjust<true>;
    case ZYDIS_MNEMONIC_AAA:
      return run_ascii_adjust<false>;
    case ZYDIS_MNEMONIC_AAS:
      return run_ascii_adjust<true>;
    case ZYDIS_MNEMONIC_AAM:
      return run_aam;
    case ZYDIS_MNEMONIC_AAD:
      return run_aad;
    case ZYDIS_MNEMONIC_SALC:
      return run_salc;
    case ZYDIS_MNEMONIC_BOUND:
      return run_bound;
    case ZYDIS_MNEMONIC_ARPL:
      return run_arpl;
    default:
      return nullptr;
  }
}

}  // namespace eidolon::engine::step
