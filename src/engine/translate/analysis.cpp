#include "engine/translate/analysis.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bits.h"
#include "isa/catalogue.h"

namespace eidolon::engine::translate {

namespace {

isa::CodeSize code_size(Mode mode) { return mode.long_code() ? isa::CodeSize::k64 : isa::CodeSize::k32; }

bool is_conditional(ZydisMnemonic m) {
  switch (m) {
    case ZYDIS_MNEMONIC_JB:
    case ZYDIS_MNEMONIC_JBE:
    case ZYDIS_MNEMONIC_JL:
    case ZYDIS_MNEMONIC_JLE:
    case ZYDIS_MNEMONIC_JNB:
    case ZYDIS_MNEMONIC_JNBE:
    case ZYDIS_MNEMONIC_JNL:
    case ZYDIS_MNEMONIC_JNLE:
    case ZYDIS_MNEMONIC_JNO:
    case ZYDIS_MNEMONIC_JNP:
    case ZYDIS_MNEMONIC_JNS:
    case ZYDIS_MNEMONIC_JNZ:
    case ZYDIS_MNEMONIC_JO:
    case ZYDIS_MNEMONIC_JP:
    case ZYDIS_MNEMONIC_JS:
    case ZYDIS_MNEMONIC_JZ:
      return true;
    default:
      return false;
  }
}

/// Names memory, but does nothing with it.
bool is_hint(const isa::Instruction& in) {
  switch (in.zydis.meta.category) {
    case ZYDIS_CATEGORY_NOP:
    case ZYDIS_CATEGORY_WIDENOP:
    case ZYDIS_CATEGORY_PREFETCH:
      return true;
    default:
      return false;
  }
}

bool is_known_memory(const isa::Instruction& in, Mode mode) {
  const ZydisDecodedOperand* operand = isa::memory_operand(in);
  if (operand == nullptr) return true;
  if (in.zydis.address_width == 16) return false;
  if (operand->mem.type != ZYDIS_MEMOP_TYPE_MEM && operand->mem.type != ZYDIS_MEMOP_TYPE_AGEN) return false;
  if (operand->mem.segment == ZYDIS_REGISTER_FS && !mode.fs_unlimited()) return false;
  if (operand->mem.segment == ZYDIS_REGISTER_GS && !mode.gs_unlimited()) return false;
  const unsigned bytes = isa::memory_bytes(in);
  return bytes >= 1 && bytes <= 64;
}

/// Forms of push, pop and leave that emission knows: full-width, and no pop to memory.
bool is_known_stack(const isa::Instruction& in, Mode mode) {
  const unsigned width = mode.long_code() ? 64 : 32;
  if (in.zydis.operand_width != width || in.zydis.stack_width != width) return false;
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_PUSH:
      return in.operands[0].type != ZYDIS_OPERAND_TYPE_MEMORY || is_known_memory(in, mode);
    case ZYDIS_MNEMONIC_POP:
      return in.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER;
    case ZYDIS_MNEMONIC_LEAVE:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool is_direct_jump(const isa::Instruction& in) {
  return in.klass == isa::Class::kControlFlow && in.mnemonic() != ZYDIS_MNEMONIC_CALL &&
         in.mnemonic() != ZYDIS_MNEMONIC_RET && in.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

bool moves_extended_state(const isa::Instruction& in) {
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
      return true;
    default:
      return false;
  }
}

bool is_known_branch(const isa::Instruction& in) {
  if (in.klass != isa::Class::kControlFlow) return false;
  const unsigned width = in.code_size == isa::CodeSize::k64 ? 64 : 32;
  if (in.zydis.operand_width != width) return false;
  if (is_conditional(in.mnemonic())) return true;
  switch (in.mnemonic()) {
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_CALL: {
      const ZydisDecodedOperand& to = in.operands[0];
      return to.type == ZYDIS_OPERAND_TYPE_IMMEDIATE || to.type == ZYDIS_OPERAND_TYPE_REGISTER ||
             to.type == ZYDIS_OPERAND_TYPE_MEMORY;
    }
    case ZYDIS_MNEMONIC_RET:
      return true;
    default:
      return false;
  }
}

bool Analysis::must_step(const isa::Instruction& in) const {
  switch (in.klass) {
    case isa::Class::kInnocuous:
      if (!mode_.allows(isa::required_state(in.zydis))) return true;
      if (in.mnemonic() == ZYDIS_MNEMONIC_LEA) return in.zydis.address_width == 16;
      if (!isa::memory_operand_is_accessed(in)) return isa::has_explicit_memory(in) && !is_hint(in);
      return !is_known_memory(in, mode_);
    case isa::Class::kControlFlow:
      return !is_known_branch(in) || !is_known_memory(in, mode_);
    case isa::Class::kStack:
      return !is_known_stack(in, mode_);
    case isa::Class::kString:
      return !is_known_string(in, mode_);
    case isa::Class::kImplicitMemory:
      return !isa::is_bit_string(in) || !is_known_memory(in, mode_);
    case isa::Class::kControlSensitive:
    case isa::Class::kBehaviourSensitive:
      return !is_inline_system(in, mode_);
    default:
      return true;
  }
}

void Analysis::run(std::span<const uint8_t> page, uint32_t start, uint64_t rip, Mode mode,
                   const BlockTable* blocks, memory::GuestPhysical physical) {
  source_ = page;
  copied_ = 0;
  start_ = start;
  rip_ = rip;
  blocks_ = blocks;
  physical_ = physical;
  mode_ = mode;
  count_ = 0;
  length_ = 0;
  crossing_ = false;
  peeked_ = {};
  jumps_ = 0;
  forms_.trim();
  ahead_count_ = ahead_next_ = 0;
  while (count_ < kMaxInstructions && start_ + length_ < page_.size()) {
    if (ahead_next_ == ahead_count_) look_ahead();
    if (!add(code_at(start_ + length_), ahead_[ahead_next_++])) break;
  }
  cut_at_loop_head();
  if (count_ != 0) find_live_flags();
}

/// The forms up to the next jump, or the next instruction that has none.
void Analysis::look_ahead() {
  ahead_count_ = ahead_next_ = 0;
  for (uint32_t at = start_ + length_; ahead_count_ < kAhead && at < page_.size();) {
    const Hit& hit = ahead_[ahead_count_++] = forms_.look_up(code_size(mode_), code_at(at));
    if (!hit || hit->jumps) return;
    at += hit->length;
  }
}

/// If the block ends with a jump back into its own middle, that is a loop, which will be a block of its own:
/// this one ends in front of it, so that its body is not translated twice.
void Analysis::cut_at_loop_head() {
  if (count_ < 2) return;
  const DecodedInstruction& last = instructions_[count_ - 1];
  if (last.step || !is_direct_jump(*last.instruction) || last.immediate >= 0) return;
  const uint64_t head = jump_target(last) - rip_;
  for (size_t i = 1; i < count_ && instructions_[i].offset <= head; ++i) {
    if (instructions_[i].offset != head) continue;
    count_ = i;
    length_ = static_cast<uint16_t>(head);
    return;
  }
}

/// The page from `offset` on, of which as many bytes hold as an instruction may have. Another processor or a
/// device may write there meanwhile: what is decoded is what is translated, so every byte is read once.
/// Whoever writes drops the block again.
std::span<const uint8_t> Analysis::code_at(uint32_t offset) {
  constexpr uint32_t kLongest = 16;
  const uint32_t end = std::min<uint32_t>(offset + kLongest, x86::kPageSize);
  for (uint32_t piece = offset / kPiece; piece * kPiece < end; ++piece) {
    const uint64_t bit = uint64_t{1} << piece;
    if ((copied_ & bit) == 0) std::memcpy(&page_[piece * kPiece], &source_[piece * kPiece], kPiece);
    copied_ |= bit;
  }
  return std::span(std::as_const(page_)).subspan(offset);
}

void Analysis::run_crossing(std::span<const uint8_t> next_page) {
  const auto first = std::span(page_).subspan(start_);
  const size_t rest = crossing_bytes_.size() - first.size();
  std::ranges::copy(first, crossing_bytes_.begin());
  std::ranges::copy(next_page.first(rest), crossing_bytes_.begin() + static_cast<ptrdiff_t>(first.size()));
  crossing_ = true;
  (void)add(crossing_bytes_, forms_.look_up(code_size(mode_), crossing_bytes_));
  find_live_flags();
}

/// Decodes one more instruction. False if it is the last, or goes on in the next page: then it is not added,
/// so that it gets a block of its own.
bool Analysis::add(std::span<const uint8_t> bytes, const Hit& hit) {
  DecodedInstruction& d = instructions_[count_];
  const auto status = decode(bytes, hit, d, rare_[count_]);
  if (status == isa::DecodeStatus::kNeedMore) return false;
  d.offset = length_;
  if (status != isa::DecodeStatus::kOk) {
    // Whatever its length is: all that it does is to be stepped.
    rare_[count_] = {};
    rare_[count_].zydis.length = 1;
    d.instruction = &rare_[count_];
    d.use = {};
    d.step = true;
  }
  length_ = static_cast<uint16_t>(length_ + d.instruction->length());
  ++count_;
  if (d.step || is_inline_transfer(*d.instruction) || changes_mode(*d.instruction)) return false;
  return d.instruction->klass != isa::Class::kControlFlow || goes_on_behind(d);
}

/// What the bytes alone say about the instruction, of which `hit` is the form; `rare` is room for one whose
/// form is not kept.
isa::DecodeStatus Analysis::decode(std::span<const uint8_t> bytes, const Hit& hit, DecodedInstruction& d,
                                   isa::Instruction& rare) {
  if (hit) {
    const isa::FormCache::Found found = isa::FormCache::complete(*hit);
    d.instruction = &found.form->instruction;
    d.use = found.form->use;
    d.displacement = found.displacement;
    d.immediate = found.immediate;
    d.step = must_step(*found.form);
    d.verbatim = found.form->verbatim;
    return isa::DecodeStatus::kOk;
  }
  const auto status = decoder_.decode(code_size(mode_), bytes, rare);
  if (status != isa::DecodeStatus::kOk) return status;
  d.instruction = &rare;
  d.use = isa::register_use(rare);
  d.verbatim = false;
  d.displacement = d.immediate = 0;
  for (const ZydisDecodedOperand& operand :
       std::span(rare.operands).first(rare.zydis.operand_count_visible)) {
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.disp.has_displacement)
      d.displacement = operand.mem.disp.value;
    if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) d.immediate = operand.imm.value.s;
  }
  d.step = must_step(rare);
  return status;
}

/// The same for a form, which keeps the answer for the mode that asked last.
bool Analysis::must_step(const isa::Form& form) const {
  constexpr uint32_t kKnown = 1u << 31, kStep = 1u << 30;
  const uint32_t known = kKnown | mode_.value();
  if ((form.note & ~kStep) != known) form.note = known | (must_step(form.instruction) ? kStep : 0);
  return (form.note & kStep) != 0;
}

/// A conditional jump that the block goes on behind. Compilers lay the likelier way out straight, but for
/// loops.
bool Analysis::goes_on_behind(const DecodedInstruction& jump) {
  if (!is_conditional(jump.instruction->mnemonic()) || jump.immediate < 0) return false;
  if (blocks_ != nullptr && blocks_->find(rip_ + length_, physical_ + start_ + length_, mode_) != nullptr)
    return false;
  return ++jumps_ <= kMostSideExits && count_ < kMaxInstructions / 2;
}

void Analysis::find_live_flags() {
  // The instruction behind STI runs before any interrupt; behind the end of a block is where these are seen.
  DecodedInstruction& last = instructions_[count_ - 1];
  if (last.instruction->mnemonic() == ZYDIS_MNEMONIC_STI) last.step = true;
  uint32_t live = flags_matter_behind(count_ - 1) ? flags_live_at_end() : kArithmetic;
  for (size_t i = count_; i-- > 0;) {
    DecodedInstruction& d = instructions_[i];
    const bool side_exit = i + 1 < count_ && d.instruction->klass == isa::Class::kControlFlow;
    if (side_exit) live |= flags_matter_behind(i) ? peek_flags(jump_target(d)) : kArithmetic;
    d.flags_live_out = live;
    live = d.step || is_inline_transfer(*d.instruction)
               ? kArithmetic
               : (d.use.flags_read | (live & ~d.use.flags_killed)) & kArithmetic;
    d.flags_live_in = live;
  }
}

/// Whether it makes a difference which flags are read behind the jump or end at `index`. It does not if they
/// all come from an instruction in front of which it is too late for emitted code to spare them: after a
/// comparison and a conditional jump, say.
bool Analysis::flags_matter_behind(size_t index) const {
  for (size_t i = index + 1; i-- > 0;) {
    const DecodedInstruction& d = instructions_[i];
    const isa::Instruction& in = *d.instruction;
    if (d.step) return true;
    if (in.klass == isa::Class::kControlFlow && is_conditional(in.mnemonic())) continue;
    if (in.klass != isa::Class::kInnocuous) return true;
    if ((d.use.flags_killed & kArithmetic) == kArithmetic) return false;
    if (isa::memory_operand_is_accessed(in)) return true;
  }
  return true;
}

/// Of a direct jump.
uint64_t Analysis::jump_target(const DecodedInstruction& jump) const {
  const uint64_t next = rip_ + jump.offset + jump.instruction->length();
  const uint64_t target = next + static_cast<uint64_t>(jump.immediate);
  return mode_.long_code() ? target : target & 0xffffffff;
}

uint32_t Analysis::flags_live_at_end() {
  const DecodedInstruction& last = instructions_[count_ - 1];
  if (last.step || is_inline_transfer(*last.instruction)) return kArithmetic;
  const uint64_t next = rip_ + length_;
  if (last.instruction->klass != isa::Class::kControlFlow) return peek_flags(next);
  const ZydisDecodedOperand& to = last.instruction->operands[0];
  if (last.instruction->mnemonic() == ZYDIS_MNEMONIC_RET || to.type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
    return kArithmetic;
  uint32_t live = peek_flags(jump_target(last));
  if (is_conditional(last.instruction->mnemonic())) live |= peek_flags(next);
  return live;
}

// What the code at `rip`, if it is on this page, does to the flags before it leaves straight line or could be
// seen from outside. Bytes looked at become a dependency of the block.
uint32_t Analysis::peek_flags(uint64_t rip) {
  const uint64_t page_start = rip_ - start_;
  if (rip - page_start >= page_.size()) return kArithmetic;
  uint32_t live = 0;
  uint32_t undecided = kArithmetic;
  auto at = static_cast<uint32_t>(rip - page_start);
  const uint32_t begin = at;
  for (unsigned i = 0; i < 6 && undecided != 0; ++i) {
    DecodedInstruction d;
    if (at >= page_.size()) break;
    const auto bytes = code_at(at);
    if (decode(bytes, forms_.look_up(code_size(mode_), bytes), d, rare_peek_) != isa::DecodeStatus::kOk)
      break;
    if (d.step || d.instruction->klass == isa::Class::kControlFlow || is_inline_transfer(*d.instruction))
      break;
    live |= d.use.flags_read & undecided;
    undecided &= ~d.use.flags_killed & ~live;
    at += d.instruction->length();
  }
  note_peek(begin, at);
  return live | undecided;
}

/// One more range; if there are as many as can be kept, the first takes it in, with what lies between.
void Analysis::note_peek(uint32_t begin, uint32_t end) {
  if (begin == end) return;
  for (Watch& watch : peeked_) {
    if (watch.begin != watch.end) continue;
    watch = {static_cast<uint16_t>(begin), static_cast<uint16_t>(end)};
    return;
  }
  peeked_[0] = {std::min(peeked_[0].begin, static_cast<uint16_t>(begin)),
                std::max(peeked_[0].end, static_cast<uint16_t>(end))};
}

}  // namespace eidolon::engine::translate
