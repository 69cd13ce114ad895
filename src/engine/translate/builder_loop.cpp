// Blocks that jump to themselves. Registers that the block does not touch keep the pages of those spans
// (spans.h) that stand still or move by a constant, and one counts the executions for which all of them stay
// in these pages, or, if all that move do so by the same constant, the bytes that are left of the first page to
// end. So an execution asks neither the virtual TLB nor for events; all it does is to count:
//
//     find:        find the pages of all spans, and for how many executions they are good
//     entry_loop:  sub count, 1 (or the constant) ; jb ahead
//                  the block, whose accesses are at [the guest's registers + what is to be added]
//                  jcc entry_loop
//                  ...
//     ahead:       look for events ; jmp find
//
// The block's own jump goes to entry_loop, where the state is not that between blocks: `loop_in_slot_` are in
// their slots. What the virtual TLB does not know is asked of the monitor, as reads: that sets no dirty bit
// and raises nothing. If that does not help (the page is missing, no memory, or not to be written yet), or if
// a span lies in two pages, a block that shares nothing makes one execution, with whatever it meets in its
// order.
//
// That a page stays known is no more than processors do: nothing takes a page from the virtual TLB while
// generated code runs, and whatever leaves it comes back by another entry. Who wants to take one waits for an
// event to be seen, and therefore the executions between two questions are bounded.
#include <algorithm>
#include <bit>

#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
constexpr int64_t kMaxStride = 512;  // with more, the page is another too often
constexpr uint16_t kNeverKept = 1u << x86::kRsp | 1u << x86::kRax;  // rax: flags that are put aside
/// Between two questions for events: instructions, about, and executions.
constexpr size_t kInstructionsAhead = 4096, kLeastAhead = 16, kMostAhead = 512;
}  // namespace

/// Chooses the spans and registers of a loop, if the block is one.
void Builder::prepare_loop() {
  const auto instructions = analysis_->instructions();
  if (block_->flags_live_in || !jumps_to_itself()) return;

  uint16_t read = kNeverKept, written = 0;
  for (const DecodedInstruction& d : instructions) {
    read |= d.use.gpr_read;
    written |= d.use.gpr_written;
  }
  const auto touched = static_cast<uint16_t>(read | written);
  std::array<uint8_t, 16> idle{};
  size_t count = 0;
  for (const unsigned pool : {homeless() & ~touched, ~homeless() & ~touched & 0xffff})
    for (unsigned left = pool; left != 0; left &= left - 1)
      idle[count++] = static_cast<uint8_t>(__builtin_ctz(left));

  size_t used = 2;
  for (uint16_t i = 0; i < spans_.count() && used < count; ++i)
    if (can_be_known(i)) loop_spans_.push_back({i, what_to_hold(i, written), idle[used++]});
  if (loop_spans_.empty()) return;
  loop_work_ = idle[0];
  loop_count_ = idle[1];
  loop_step_ = common_stride();
  loop_in_slot_ = static_cast<uint16_t>(homeless() & ~touched);
  for (size_t i = 0; i < used; ++i) loop_in_slot_ |= register_bit(idle[i]);
}

/// By which all spans move that do, if their sizes are the same as well; else 0.
int64_t Builder::common_stride() const {
  const Span* first = nullptr;
  for (const LoopSpan& known : loop_spans_) {
    const Span& span = spans_.at(known.span);
    if (*span.stride == 0) continue;
    if (first == nullptr) first = &span;
    if (*span.stride != *first->stride || span.size() != first->size()) return 0;
  }
  return first == nullptr ? 0 : *first->stride;
}

/// Where the span will be in the next execution is known, and likely in the same page.
bool Builder::can_be_known(uint16_t span) const {
  const Spans::Key& key = spans_.key(span);
  const auto& [low, high, last, members, writes, stride] = spans_.at(span);
  if (!stride || *stride > kMaxStride || *stride < -kMaxStride) return false;
  if (*stride != 0 && key.segment != 0) return false;
  const bool constant = key.base == Spans::kNoValue && key.index == Spans::kNoValue;
  return (constant && key.segment == 0) || low == static_cast<int32_t>(low);
}

/// `written`: registers that the block changes.
Builder::LoopSpan::Holds Builder::what_to_hold(uint16_t span, uint16_t written) const {
  using Holds = LoopSpan::Holds;
  const Spans::Key& key = spans_.key(span);
  if (*spans_.at(span).stride == 0) return Holds::kAddress;
  if (!block_->mode.long_code() || key.base == Spans::kNoValue || key.index == Spans::kNoValue)
    return Holds::kDelta;
  const auto instructions = analysis_->instructions();
  const auto all_have = [&](ZydisRegister ZydisDecodedOperandMem::*part, unsigned reg) {
    if (written & register_bit(reg)) return false;
    for (size_t i = 0; i < instructions.size(); ++i) {
      if (spans_.operand(i).span != span) continue;
      const auto& operand = isa::memory_operand(*instructions[i].instruction)->mem;
      if (isa::gpr_index(operand.*part) != static_cast<int>(reg)) return false;
    }
    return true;
  };
  if (all_have(&ZydisDecodedOperandMem::base, key.base)) return Holds::kDeltaAndBase;
  if (all_have(&ZydisDecodedOperandMem::index, key.index)) return Holds::kDeltaAndIndex;
  return Holds::kDelta;
}

/// From the state at the entry of any block to that of the loop.
void Builder::emit_loop_head() {
  for (unsigned left = loop_in_slot_; left != 0; left &= left - 1)
    free_register(static_cast<unsigned>(__builtin_ctz(left)));
  need(static_cast<uint16_t>(~loop_in_slot_));
  slot_valid_ = loop_in_slot_;
  pinned_ |= register_bit(loop_count_);
  for (const LoopSpan& span : loop_spans_) pinned_ |= register_bit(span.reg);
  const uint32_t site = add_site(SiteKind::kEvent, nullptr);
  sites_[site].resume = e_.at();
  const size_t most =
      std::clamp(kInstructionsAhead / analysis_->instructions().size(), kLeastAhead, kMostAhead);
  loop_step_ != 0 ? emit_bytes_ahead(most) : emit_executions_ahead(most);
  e_.begin_line();
  block_->entry_loop = e_.at();
  const auto step = static_cast<uint32_t>(loop_step_ != 0 ? std::abs(loop_step_) : 1);
  loop_ahead_ = {e_.compare_and_jump([&] { e_.sub(reg32(loop_count_), step); }, kConditionB), site};
}

/// Elsewhere: the pages are not good for another execution.
void Builder::emit_loop_ahead() {
  e_.patch_here(loop_ahead_.patch);
  e_.compare32(layout_.events(), 0);
  e_.jump_if(kConditionE, sites_[loop_ahead_.site].resume);
  leave(loop_ahead_.site);
}

/// Finds the pages, and counts the executions for which they are good.
void Builder::emit_executions_ahead(size_t most) {
  e_.mov(reg32(loop_count_), static_cast<uint32_t>(most - 1));  // behind the next one
  for (const LoopSpan& known : loop_spans_) {
    emit_known_page(known);
    if (const Span& span = spans_.at(known.span); *span.stride != 0) emit_executions_in_page(span);
  }
  e_.add(reg32(loop_count_), 1);
}

/// The same, with the bytes that are left in a page, for spans that move by loop_step_.
void Builder::emit_bytes_ahead(size_t most) {
  const Xbyak::Reg32 count = reg32(loop_count_), offset = reg32(loop_work_);
  const bool up = loop_step_ > 0;
  uint32_t size = 0;
  for (const LoopSpan& known : loop_spans_) {
    emit_known_page(known);
    const Span& span = spans_.at(known.span);
    if (*span.stride == 0) continue;
    if (size == 0) {
      e_.mov(count, offset);
    } else {
      e_.cmp(offset, count);
      up ? e_.cmova(count, offset) : e_.cmovb(count, offset);
    }
    size = span.size();
  }
  const auto distance = static_cast<uint32_t>(std::abs(loop_step_));
  if (up) e_.neg(count);
  // Behind the next execution, and what it takes itself.
  e_.add(count, (up ? static_cast<uint32_t>(x86::kPageSize) - size : 0) + distance);
  if (x86::kPageSize / distance <= most) return;
  e_.mov(offset, static_cast<uint32_t>(most * distance));
  e_.cmp(count, offset);
  e_.cmova(count, offset);
}

/// loop_work_ becomes the span's offset in its page, if it moves.
void Builder::emit_known_page(const LoopSpan& known) {
  const Span& span = spans_.at(known.span);
  const Spans::Key& key = spans_.key(known.span);
  const uint32_t restart = e_.at();
  emit_lowest_address(loop_work_, known.span);
  probe(loop_work_, known.reg, span.writes);
  const uint32_t patch = jump_if_outside(loop_work_, span.size());
  const uint32_t site = memory_site(analysis_->instructions()[0],
                                    {span.size(), false, span.writes, span.members > 1, 0}, restart);
  sites_[site].hoisted = true;
  loop_misses_.push_back({patch, site, known.reg, span.writes, slot_valid_});

  const Xbyak::Reg64 to = reg64(known.reg);
  if (known.holds == LoopSpan::Holds::kAddress) {
    add_host(loop_work_, known.reg, span.writes);
    e_.move(true, known.reg, loop_work_);
    return;
  }
  load_delta(known.reg, known.reg);
  if (known.holds == LoopSpan::Holds::kDeltaAndBase) e_.add(to, reg64(key.base));
  if (known.holds == LoopSpan::Holds::kDeltaAndIndex) e_.lea(to, ptr[to + reg64(key.index) * key.scale]);
}

/// Lowers the count to how often the span can move on in its page, where loop_work_ has its offset.
void Builder::emit_executions_in_page(const Span& span) {
  const Xbyak::Reg64 room = reg64(loop_work_);
  if (*span.stride > 0) {
    e_.neg(room);
    e_.add(room, static_cast<uint32_t>(x86::kPageSize) - span.size());
  }
  // room / distance: exact, as room is less than 2^12 and distance at most 2^9.
  const auto distance = static_cast<uint32_t>(std::abs(*span.stride));
  static_assert(kMaxStride <= 1 << 9);
  if (std::has_single_bit(distance)) {
    if (distance != 1) e_.shr(room, std::countr_zero(distance));
  } else {
    constexpr int kShift = 24;
    e_.imul(room, room, static_cast<int>(((1u << kShift) + distance - 1) / distance));
    e_.shr(room, kShift);
  }
  e_.cmp(reg32(loop_work_), reg32(loop_count_));
  e_.cmovb(reg32(loop_count_), reg32(loop_work_));
}

/// Linear, of the span's lowest byte in the coming execution.
void Builder::emit_lowest_address(unsigned to, uint16_t span) {
  const Spans::Key& key = spans_.key(span);
  const bool wide = block_->mode.long_code();
  const auto low = static_cast<uint64_t>(spans_.at(span).low);
  if (key.base == Spans::kNoValue && key.index == Spans::kNoValue) {
    e_.load_constant(to, wide ? low : low & 0xffffffff);
    if (key.segment == 0) e_.note(Relocation::Kind::kAddress, 8);
  } else {
    Xbyak::RegExp address;
    if (key.base != Spans::kNoValue) address = address + reg64(key.base);
    if (key.index != Spans::kNoValue) address = address + reg64(key.index) * key.scale;
    address = address + static_cast<size_t>(low);
    wide ? e_.lea(reg64(to), ptr[address]) : e_.lea(reg32(to), ptr[address]);
  }
  if (key.segment != 0) add_segment_base(to, static_cast<x86::Segment>(key.segment - 1));
}

bool Builder::is_loop_jump(const DecodedInstruction& d, uint64_t target) const {
  return !loop_spans_.empty() && target == block_->rip && is_direct_jump(*d.instruction);
}

/// The end of a loop: back to its start, or on behind it.
void Builder::emit_loop_jump(const DecodedInstruction& d) {
  held_.clear();
  restore_flags();
  for (unsigned left = loop_in_slot_; left != 0; left &= left - 1)
    free_register(static_cast<unsigned>(__builtin_ctz(left)));
  need(static_cast<uint16_t>(~loop_in_slot_));
  const auto first = static_cast<uint32_t>(sites_.size());
  const bool conditional = d.instruction->mnemonic() != ZYDIS_MNEMONIC_JMP;
  if (conditional)
    emit_jump_if(d, d.instruction->zydis.opcode & 0xf, block_->rip);
  else
    emit_jump(d, block_->rip);
  sites_[first].loop = true;
  pinned_ = 0;
  if (!conditional) return;
  settle();
  emit_jump(d, rip_after(d));
}

const Builder::LoopSpan* Builder::loop_span(uint16_t span) const {
  const auto found = std::ranges::find(loop_spans_, span, &LoopSpan::span);
  return found == loop_spans_.end() ? nullptr : &*found;
}

/// The host address of an access in a span whose page is known.
Builder::HostAddress Builder::locate_in_loop(const LoopSpan& span, const DecodedInstruction& d,
                                             const Source& source, SpanMember member, uint16_t avoid) {
  const auto displacement = static_cast<int32_t>(d.displacement);
  HostAddress at{span.reg, member.offset};
  if (span.holds == LoopSpan::Holds::kAddress) {
    // Nothing to add.
  } else if (source.operand == nullptr) {
    need(register_bit(source.base));
    at = {source.base, source.displacement, span.reg};
  } else {
    const ZydisDecodedOperand& operand = *source.operand;
    const int base = isa::gpr_index(operand.mem.base), index = isa::gpr_index(operand.mem.index);
    const bool one = base < 0 || index < 0;
    need(address_registers(operand));
    if (!block_->mode.long_code() || (!one && span.holds == LoopSpan::Holds::kDelta)) {
      const unsigned address = scratch(avoid);
      emit_effective_address(address, d, operand);
      at = {address, 0, span.reg};
    } else if (index < 0 || span.holds == LoopSpan::Holds::kDeltaAndIndex) {
      at = {static_cast<unsigned>(base), displacement, span.reg};
    } else {
      at = {span.reg, displacement, static_cast<unsigned>(index),
            static_cast<unsigned>(std::countr_zero(unsigned{operand.mem.scale})), true};
    }
  }
  if (!d.use.uses_high_byte) return at;
  const unsigned address = scratch(avoid);
  e_.lea(reg64(address), ptr[Builder::at(at)]);
  return {address, 0};
}

/// Asks the monitor for the page, or leaves this execution to a block that shares nothing.
void Builder::emit_loop_miss(const LoopMiss& miss) {
  e_.patch_here(miss.patch);
  emit_recover_linear(loop_work_, miss.reg, miss.write_tag);
  const uint32_t two_pages = jump_if_two_pages(miss.site, loop_work_, miss.reg);
  e_.store(layout_.address(), loop_work_);
  leave(miss.site);
  e_.patch_here(two_pages);
  emit_unshared_jump(miss.site, miss.slot_valid);
}

}  // namespace eidolon::engine::translate
