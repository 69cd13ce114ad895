#include "engine/translate/spans.h"

#include <algorithm>

#include "engine/translate/analysis.h"
#include "isa/liveness.h"

namespace eidolon::engine::translate {

namespace {
constexpr uint16_t kBarrier = 0xfffe;
constexpr int64_t kFar = int64_t{1} << 31;

bool is_full_register(const ZydisDecodedOperand& operand, unsigned width) {
  return operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.size == width * 8 &&
         isa::gpr_index(operand.reg.value) >= 0;
}
}  // namespace

void Spans::run(std::span<const DecodedInstruction> instructions, uint64_t rip, Mode mode, bool share) {
  operands_.assign(instructions.size(), {});
  stacks_.assign(instructions.size(), {});
  spans_.clear();
  keys_.clear();
  rsp_.assign(instructions.size(), {kNoValue, 0});
  if (!share) return;
  next_id_ = 0;
  before_jump_ = 0;
  bool barrier = false;
  for (Value& value : values_) value = fresh();
  const unsigned width = mode.long_code() ? 8 : 4;
  for (size_t i = 0; i < instructions.size(); ++i) {
    const DecodedInstruction& d = instructions[i];
    rsp_[i] = values_[x86::kRsp];
    if (d.step) break;
    switch (d.instruction->klass) {
      case isa::Class::kInnocuous:
        break;
      case isa::Class::kStack:
      case isa::Class::kControlFlow:
        note_stack(d, i, width);
        if (d.instruction->klass == isa::Class::kControlFlow) before_jump_ = spans_.size();
        break;
      case isa::Class::kString:
      case isa::Class::kImplicitMemory:
        for (unsigned left = d.use.gpr_written; left != 0; left &= left - 1)
          values_[static_cast<unsigned>(__builtin_ctz(left))] = fresh();
        continue;
      default:
        // It may change what is mapped where, or come back after the monitor has.
        barrier = true;
        for (Value& value : values_) value = fresh();
        for (Key& key : keys_) key.base = kBarrier;
        continue;
    }
    note_operand(d, i, rip);
    follow(d, width);
  }
  if (!barrier) find_strides();
}

/// How far the register has moved that held `value` at the start.
std::optional<int64_t> Spans::movement(uint16_t value) const {
  if (value == kNoValue) return 0;
  if (value >= values_.size() || values_[value].id != value) return std::nullopt;
  return values_[value].offset;
}

void Spans::find_strides() {
  for (size_t i = 0; i < spans_.size(); ++i) {
    const auto base = movement(keys_[i].base), index = movement(keys_[i].index);
    if (base && index) spans_[i].stride = *base + *index * keys_[i].scale;
  }
}

void Spans::note_operand(const DecodedInstruction& d, size_t at, uint64_t rip) {
  const isa::Instruction& in = *d.instruction;
  if (!isa::memory_operand_is_accessed(in)) return;
  const ZydisDecodedOperand& operand = *isa::memory_operand(in);
  const unsigned stack_width = in.code_size == isa::CodeSize::k64 ? 64 : 32;
  if (in.zydis.address_width != stack_width) return;

  Key key{kNoValue, kNoValue, 0, 0, 0};
  int64_t displacement = d.displacement;
  if (operand.mem.segment == ZYDIS_REGISTER_FS) key.segment = x86::kFs + 1;
  if (operand.mem.segment == ZYDIS_REGISTER_GS) key.segment = x86::kGs + 1;
  if (const int base = isa::gpr_index(operand.mem.base); base >= 0) {
    const Value& value = values_[static_cast<unsigned>(base)];
    key.base = value.id;
    displacement += value.offset;
  } else if (operand.mem.base != ZYDIS_REGISTER_NONE) {
    displacement += static_cast<int64_t>(rip + d.offset + in.length());
  }
  if (const int index = isa::gpr_index(operand.mem.index); index >= 0) {
    const Value& value = values_[static_cast<unsigned>(index)];
    key.index = value.id;
    key.scale = operand.mem.scale;
    displacement += value.offset * operand.mem.scale;
  }
  const unsigned size = isa::memory_bytes(in);
  if (key.base == kNoValue && key.index == kNoValue && key.segment == 0) {
    // The address is known: so is whether it crosses into another page.
    if (stack_width == 32) displacement &= 0xffffffff;
    const auto linear = static_cast<uint64_t>(displacement);
    if ((linear & x86::kPageMask) + size > x86::kPageSize) return;
    key.page = linear >> x86::kPageShift;
  }
  const bool write = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  add(operands_[at], key, displacement, size, write, at);
}

void Spans::note_stack(const DecodedInstruction& d, size_t at, unsigned width) {
  const Value& rsp = values_[x86::kRsp];
  const auto bytes = static_cast<int64_t>(width);
  switch (d.instruction->mnemonic()) {
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_CALL:
      return add(stacks_[at], {rsp.id, kNoValue, 0, 0, 0}, rsp.offset - bytes, width, true, at);
    case ZYDIS_MNEMONIC_POP:
    case ZYDIS_MNEMONIC_RET:
      return add(stacks_[at], {rsp.id, kNoValue, 0, 0, 0}, rsp.offset, width, false, at);
    case ZYDIS_MNEMONIC_LEAVE: {
      const Value& rbp = values_[x86::kRbp];
      return add(stacks_[at], {rbp.id, kNoValue, 0, 0, 0}, rbp.offset, width, false, at);
    }
    default:
      return;
  }
}

void Spans::add(Access& access, const Key& key, int64_t displacement, unsigned size, bool write, size_t at) {
  const bool known = key.base == kNoValue && key.index == kNoValue && key.segment == 0;
  const int64_t end = displacement + size;
  access.displacement = displacement;
  for (size_t i = keys_.size(); i-- > 0;) {
    if (keys_[i] != key) continue;
    Span& span = spans_[i];
    const int64_t low = std::min(span.low, displacement), high = std::max(span.high, end);
    if (!known && high - low > kMaxBytes) break;
    // What only those write who go on here must not be asked of those who leave before it.
    if (write && !span.writes && i < before_jump_) break;
    access.span = static_cast<uint16_t>(i);
    span = {
        low, high, static_cast<uint16_t>(at), static_cast<uint16_t>(span.members + 1), span.writes || write,
        {}};
    return;
  }
  access.span = static_cast<uint16_t>(spans_.size());
  spans_.push_back({displacement, end, static_cast<uint16_t>(at), 1, write});
  keys_.push_back(key);
}

/// What the instruction makes of the registers' values.
void Spans::follow(const DecodedInstruction& d, unsigned width) {
  const isa::Instruction& in = *d.instruction;
  const ZydisDecodedOperand& to = in.operands[0];
  const auto replace_all = [&](unsigned registers) {
    for (; registers != 0; registers &= registers - 1)
      values_[static_cast<unsigned>(__builtin_ctz(registers))] = fresh();
  };
  const auto bytes = static_cast<int64_t>(width);
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_PUSH:
      values_[x86::kRsp].offset -= bytes;
      return;
    case ZYDIS_MNEMONIC_POP:
      values_[x86::kRsp].offset += bytes;
      replace_all(1u << isa::gpr_index(to.reg.value));
      return;
    case ZYDIS_MNEMONIC_LEAVE:
      values_[x86::kRsp] = values_[x86::kRbp];
      values_[x86::kRsp].offset += bytes;
      replace_all(1u << x86::kRbp);
      return;
    default:
      break;
  }
  const bool inc = in.mnemonic() == ZYDIS_MNEMONIC_INC;
  if ((inc || in.mnemonic() == ZYDIS_MNEMONIC_DEC) && is_full_register(to, width)) {
    values_[static_cast<unsigned>(isa::gpr_index(to.reg.value))].offset += inc ? 1 : -1;
    return;
  }
  if (in.zydis.operand_count_visible == 2 && is_full_register(to, width)) {
    const ZydisDecodedOperand& from = in.operands[1];
    Value& value = values_[static_cast<unsigned>(isa::gpr_index(to.reg.value))];
    const bool immediate = from.type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    Value next;
    switch (in.mnemonic()) {
      case ZYDIS_MNEMONIC_ADD:
        next = immediate ? Value{value.id, value.offset + d.immediate} : fresh();
        break;
      case ZYDIS_MNEMONIC_SUB:
        next = immediate ? Value{value.id, value.offset - d.immediate} : fresh();
        break;
      case ZYDIS_MNEMONIC_MOV:
        next = is_full_register(from, width) ? values_[static_cast<unsigned>(isa::gpr_index(from.reg.value))]
                                             : fresh();
        break;
      case ZYDIS_MNEMONIC_LEA: {
        const int base = isa::gpr_index(from.mem.base);
        const bool simple =
            base >= 0 && from.mem.index == ZYDIS_REGISTER_NONE && in.zydis.address_width == width * 8;
        next = simple ? values_[static_cast<unsigned>(base)] : fresh();
        if (simple) next.offset += d.displacement;
        break;
      }
      default:
        replace_all(d.use.gpr_written);
        return;
    }
    value = next.offset > -kFar && next.offset < kFar ? next : fresh();
    return;
  }
  replace_all(d.use.gpr_written);
}

SpanMember Spans::member(const Access& access) const {
  if (access.span == SpanMember::kNone) return {};
  const Span& span = spans_[access.span];
  return {access.span, static_cast<int32_t>(access.displacement - span.low), span.members > 1};
}

}  // namespace eidolon::engine::translate
