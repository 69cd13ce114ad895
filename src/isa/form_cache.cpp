#include "isa/form_cache.h"

#include <algorithm>
#include <cstddef>

#include "base/bits.h"
#include "isa/rewrite.h"

namespace eidolon::isa {

namespace {

uint64_t read(std::span<const uint8_t> bytes, unsigned at, unsigned size) {
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= uint64_t{bytes[at + i]} << 8 * i;
  return value;
}

int64_t extend(uint64_t value, unsigned size, bool is_signed) {
  return static_cast<int64_t>(is_signed && size != 0 ? sign_extend(value, 8 * size) : value);
}

/// What translation reads of a form: what it is by itself, what rewriting asks for, and two or three
/// operands.
void fetch(const Form* form) {
  constexpr size_t kLine = 64;
  constexpr size_t kParts = offsetof(Instruction, zydis) + offsetof(ZydisDecodedInstruction, raw.modrm);
  constexpr size_t kFirst = offsetof(Form, instruction) + kParts,
                   kEnd = sizeof(Form) - 7 * sizeof(ZydisDecodedOperand);
  const auto* bytes = reinterpret_cast<const char*>(form);
  __builtin_prefetch(bytes);
  __builtin_prefetch(bytes + kLine);
  for (size_t at = kFirst / kLine * kLine; at < kEnd; at += kLine) __builtin_prefetch(bytes + at);
}

/// Whether the decoder sees the parts where the layout has them, and operands take their values as they are.
bool agrees(const Instruction& in, const InstructionLayout& layout) {
  const auto& raw = in.zydis.raw;
  if (in.zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || in.length() != layout.length) return false;
  if (raw.disp.size / 8u != layout.displacement_size) return false;
  if (layout.displacement_size != 0 && raw.disp.offset != layout.displacement_at) return false;
  if (raw.imm[1].size != 0) return false;
  const bool varies = layout.immediate_size != 0;
  if (varies && (raw.imm[0].size / 8u != layout.immediate_size || raw.imm[0].offset != layout.immediate_at))
    return false;
  return std::ranges::all_of(std::span(in.operands).first(in.zydis.operand_count), [&](const auto& operand) {
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.disp.has_displacement)
      return operand.mem.disp.value == raw.disp.value;
    if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && varies)
      return operand.imm.value.u == raw.imm[0].value.u;
    return operand.type != ZYDIS_OPERAND_TYPE_POINTER;
  });
}

bool is_kept(Class klass) {
  switch (klass) {
    case Class::kInnocuous:
    case Class::kControlFlow:
    case Class::kStack:
    case Class::kString:
    case Class::kImplicitMemory:
      return true;
    default:
      return false;
  }
}

}  // namespace

FormCache::FormCache(const Decoder& decoder) : decoder_(decoder) {
  for (Table& slots : slots_) slots.resize(kSlots);
}

std::optional<FormCache::Hit> FormCache::look_up(CodeSize size, std::span<const uint8_t> bytes) {
  const auto layout = instruction_layout(size, bytes);
  if (!layout) return std::nullopt;
  // High bytes count as much as low ones.
  const uint64_t hash = (layout->key ^ layout->key >> 29) * 0x9e3779b97f4a7c15u;
  Table& slots = size == CodeSize::k64 ? slots_[1] : slots_[0];
  size_t at = hash >> (64 - kSlotsLog2);
  while (slots[at].form != 0 && slots[at].key != layout->key) at = (at + 1) % kSlots;
  Slot& slot = slots[at];
  if (slot.form == 0) {
    const Form* made = make(size, bytes, *layout);
    if (made == nullptr) return std::nullopt;
    const bool jumps = made->instruction.klass == Class::kControlFlow;
    slot = {layout->key, reinterpret_cast<uint64_t>(made) | (jumps ? 1u : 0u)};
  }
  // SAFETY: the address of a Form, without the bit that its alignment leaves.
  const auto* form = reinterpret_cast<const Form*>(slot.form & ~uint64_t{1});
  fetch(form);
  return Hit{.form = form,
             .displacement = extend(read(bytes, layout->displacement_at, layout->displacement_size),
                                    layout->displacement_size, true),
             .immediate = read(bytes, layout->immediate_at, layout->immediate_size),
             .immediate_size = layout->immediate_size,
             .length = layout->length,
             .jumps = (slot.form & 1) != 0};
}

FormCache::Found FormCache::complete(const Hit& hit) {
  return {.form = hit.form,
          .displacement = hit.displacement,
          .immediate = hit.immediate_size == 0
                           ? hit.form->immediate
                           : extend(hit.immediate, hit.immediate_size, hit.form->immediate_is_signed)};
}

const Form* FormCache::make(CodeSize size, std::span<const uint8_t> bytes, const InstructionLayout& layout) {
  if (forms_.size() >= kSlots / 2) return nullptr;
  Form& form = forms_.emplace_back();
  const auto status = decoder_.decode(size, bytes, form.instruction);
  if (status != DecodeStatus::kOk || !is_kept(form.instruction.klass) || !agrees(form.instruction, layout)) {
    forms_.pop_back();
    return nullptr;
  }
  form.use = register_use(form.instruction);
  HostBytes host;
  form.verbatim = rewrite_plain(form.instruction, bytes.first(layout.length), host) &&
                  std::ranges::equal(host.span(), bytes.first(layout.length));
  form.immediate_is_signed = form.instruction.zydis.raw.imm[0].is_signed;
  if (layout.immediate_size == 0)
    for (const auto& operand :
         std::span(form.instruction.operands).first(form.instruction.zydis.operand_count))
      if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) form.immediate = operand.imm.value.s;
  return &form;
}

void FormCache::trim() {
  if (forms_.size() < kMostForms) return;
  forms_.clear();
  for (Table& slots : slots_) std::ranges::fill(slots, Slot{});
}

}  // namespace eidolon::isa
