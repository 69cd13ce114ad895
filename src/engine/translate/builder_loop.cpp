// Blocks that jump to themselves. Between two executions, registers that the block does not touch keep the
// pages of the spans (spans.h) that stand still or move by a constant, so that neither the virtual TLB is
// asked nor these registers are put back and forth.
//
// The block's own jump goes to entry_loop, where the state is not that between blocks: `loop_in_slot_` are in
// their slots. A span that moves has two registers, its linear page and the page's host address, and
//     xor A, page ; cmp A, 4096 - size ; ja miss ; add A, host
// takes the linear address in A to the host address. A span that stands still has its host address in one
// register, 0 until it is known. Misses are answered behind the block from the virtual TLB; they are sites
// like any other if it does not know. That a page stays known is no more than processors do: nothing takes a
// page from the virtual TLB while generated code runs, and whatever leaves it comes back by another entry.
#include <algorithm>

#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
constexpr int64_t kMaxStride = 512;  // with more, the page is another too often
constexpr uint16_t kNeverKept = 1u << x86::kRsp | 1u << x86::kRax;  // rax: flags that are put aside

/// The target of a direct jump that is no call, as far as the instruction knows.
bool is_direct_jump(const isa::Instruction& in) {
  return in.klass == isa::Class::kControlFlow && in.mnemonic() != ZYDIS_MNEMONIC_CALL &&
         in.mnemonic() != ZYDIS_MNEMONIC_RET && in.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}
}  // namespace

/// Chooses the spans and registers of a loop, if the block is one.
void Builder::prepare_loop() {
  const auto instructions = analysis_->instructions();
  const DecodedInstruction& last = instructions.back();
  if (block_->flags_live_in || last.step || !is_direct_jump(*last.instruction)) return;
  const auto distance = static_cast<uint64_t>(last.immediate);
  if (truncate(rip_after(last) + distance) != block_->rip) return;

  uint16_t touched = kNeverKept;
  for (const DecodedInstruction& d : instructions) touched |= d.use.gpr_read | d.use.gpr_written;
  std::array<uint8_t, 16> idle{};
  size_t count = 0;
  for (const unsigned pool : {homeless() & ~touched, ~homeless() & ~touched & 0xffff})
    for (unsigned left = pool; left != 0; left &= left - 1)
      idle[count++] = static_cast<uint8_t>(__builtin_ctz(left));

  loop_in_slot_ = static_cast<uint16_t>(homeless() & ~touched);
  size_t used = 2;  // to work with
  for (uint16_t i = 0; i < spans_.count(); ++i) {
    const auto stride = spans_.at(i).stride;
    if (!stride || *stride > kMaxStride || *stride < -kMaxStride) continue;
    const bool fixed = *stride == 0;
    const int64_t low = spans_.at(i).low;
    if (!fixed && (spans_.key(i).segment != 0 || low != static_cast<int32_t>(low))) continue;
    if (used + (fixed ? 1 : 2) > count) break;
    const uint8_t page = idle[used++];
    loop_spans_.push_back({i, fixed, page, fixed ? page : idle[used++]});
  }
  if (loop_spans_.empty()) return;
  for (size_t i = 0; i < used; ++i) loop_in_slot_ |= register_bit(idle[i]);
}

/// From the state at the entry of any block to that of the loop.
void Builder::emit_loop_head() {
  for (unsigned left = loop_in_slot_; left != 0; left &= left - 1)
    free_register(static_cast<unsigned>(__builtin_ctz(left)));
  need(static_cast<uint16_t>(~loop_in_slot_));
  slot_valid_ = loop_in_slot_;
  for (const LoopSpan& span : loop_spans_) {
    pinned_ |= register_bit(span.page) | register_bit(span.host);
    emit_unknown_page(span);
  }
  block_->entry_loop = e_.at();
  e_.compare32(layout_.events(), 0);
  const uint32_t patch = e_.jump_if(kConditionNe);
  const uint32_t site = add_site(SiteKind::kEvent, nullptr);
  sites_[site].resume = e_.at();
  stubs_.push_back({.patch = patch, .site = site});
}

/// Before the first access: no page, or the complement of that access's address, which no comparison with it
/// can take for its page.
void Builder::emit_unknown_page(const LoopSpan& span) {
  if (span.fixed) return e_.load_constant(span.page, 0);
  const Spans::Key& key = spans_.key(span.span);
  Xbyak::RegExp address(static_cast<size_t>(spans_.at(span.span).low));
  if (key.base != Spans::kNoValue) address = address + reg64(key.base);
  if (key.index != Spans::kNoValue) address = address + reg64(key.index) * key.scale;
  if (block_->mode.long_code())
    e_.lea(reg64(span.page), ptr[address]);
  else
    e_.lea(reg32(span.page), ptr[address]);
  e_.not_(reg64(span.page));
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

/// The host address of an access in a span whose page is kept.
Builder::HostAddress Builder::locate_in_loop(const LoopSpan& span, const DecodedInstruction& d,
                                             const Source& source, SpanMember member, const Check& check,
                                             uint16_t avoid) {
  const unsigned address = span.fixed ? span.page : scratch(avoid);
  // Only a miss works with a second register: it can put a value of the guest's aside for that long.
  constexpr uint16_t kRspBit = 1u << x86::kRsp;
  const auto taken =
      static_cast<uint16_t>(avoid | busy_ | pinned_ | held_registers() | kRspBit | register_bit(address));
  const std::optional<unsigned> idle = idle_register(taken);
  const unsigned index = idle ? *idle : static_cast<unsigned>(__builtin_ctz(~unsigned{taken}));
  const uint32_t restart = e_.at();
  uint32_t patch = 0;
  if (span.fixed) {
    patch = e_.compare_and_jump([&] { e_.test(reg64(address), reg64(address)); }, kConditionE);
  } else {
    emit_linear(address, d, source, member.offset);
    e_.xor_(reg64(address), reg64(span.page));
    patch = jump_if_outside(address, check.size);
  }
  loop_misses_.push_back({.patch = patch,
                          .resume = e_.at(),
                          .site = memory_site(d, check, restart),
                          .span = span,
                          .check = check,
                          .d = &d,
                          .source = source,
                          .offset = member.offset,
                          .address = static_cast<uint8_t>(address),
                          .index = static_cast<uint8_t>(index),
                          .borrowed = !idle,
                          .slot_valid = slot_valid_});
  if (!span.fixed && !check.shared && !d.use.uses_high_byte) return {address, 0, span.host};
  if (!span.fixed) e_.add(reg64(address), reg64(span.host));
  if (check.shared) hold({member.span, static_cast<uint16_t>(address), 0, false});
  return {address, member.offset};
}

/// Asks the virtual TLB for the page, and goes on.
void Builder::emit_loop_miss(const LoopMiss& miss) {
  const auto page = reg64(miss.span.page), address = reg64(miss.address);
  const auto give_back = [&] {
    if (miss.borrowed) e_.load(miss.index, layout_.jump_target());
  };
  e_.patch_here(miss.patch);
  if (miss.borrowed) e_.store(layout_.jump_target(), miss.index);
  if (miss.span.fixed) {
    emit_linear(miss.address, *miss.d, miss.source, miss.offset);
  } else {
    e_.xor_(address, page);
    e_.mov(page, address);
  }
  probe(miss.address, miss.index, miss.check.write_tag);
  const uint32_t absent = jump_if_outside(miss.address, miss.check.size);
  if (miss.span.fixed) {
    add_host(miss.address, miss.index, miss.check.write_tag);
  } else {
    load_host(miss.span.host, miss.index, miss.check.write_tag);
    e_.xor_(page, address);
  }
  give_back();
  e_.jump(miss.resume);

  e_.patch_here(absent);
  emit_recover_linear(miss.address, miss.index, miss.check.write_tag);
  uint32_t two_pages = 0;
  if (miss.check.shared) two_pages = jump_if_two_pages(miss.site, miss.address, miss.index);
  give_back();
  e_.store(layout_.address(), miss.address);
  if (miss.span.fixed)
    e_.load_constant(miss.span.page, 0);
  else
    e_.not_(page);  // the address is asked for again, and must miss again
  leave(miss.site);
  if (two_pages == 0) return;
  e_.patch_here(two_pages);
  give_back();
  emit_unshared_jump(miss.site, miss.slot_valid);
}

}  // namespace eidolon::engine::translate
