// Indirect jumps, and the prediction of returns.
//
// The jump cache is a hash table from (linear address, mode) to code. What it does not know leaves at a site
// with the target in Frame::address, and is tried again once the cache knows it, or stepped: nothing of the
// guest's state has changed by then.
//
// A call also notes its return address, and code that goes on there (its landing: a direct jump, linked like
// any other), in a table of returns. The entry is chosen by the stack pointer, which is the same again at the
// return, so there is no stack of predictions that could get out of step. A return whose address is not the
// entry's asks the jump cache. Entries need not be dropped when blocks or mappings do: landings are unlinked
// with the blocks that they go to, and go to entries that check the page. There is a table for each mode
// (while there are tables), since an entry is good for the mode it was made in. An entry must never match by
// accident, so a fresh table is filled with the return that opened it.
//
// The index is in r11 or r10, homeless registers (builder.h), which everything else is settled around.
#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
Xbyak::Reg64 reg64(unsigned reg) { return Xbyak::Reg64(static_cast<int>(reg)); }
Xbyak::Reg32 reg32(unsigned reg) { return Xbyak::Reg32(static_cast<int>(reg)); }

/// Two entries of 16 bytes for 16 of the stack pointer: the index times 2 is the offset of the entry.
constexpr uint32_t kReturnMask = (Frame::kReturnEntries - 1) * sizeof(ReturnEntry) / 2;
static_assert(offsetof(JumpEntry, rip) == offsetof(ReturnEntry, rip));
static_assert(offsetof(JumpEntry, code) == offsetof(ReturnEntry, code));
static_assert(offsetof(Frame, returns) < offsetof(Frame, jump_cache));
}  // namespace

std::optional<unsigned> Builder::return_table() const {
  for (unsigned table = 0; table < return_modes_.size(); ++table)
    if (return_modes_[table] == block_->mode) return table;
  return std::nullopt;
}

/// A register for the index of an entry.
unsigned Builder::index_register(unsigned target) {
  const unsigned index = target == x86::kR11 ? x86::kR10 : x86::kR11;
  free_register(index);
  busy_ |= register_bit(index);
  return index;
}

/// `index`: times 2 the offset of the entry, if the cache knows the target; else leaves at `site`.
void Builder::emit_jump_cache_look_up(unsigned target, unsigned index, uint32_t site) {
  const auto field = [&](size_t offset) { return reg64(index) * 2 + (layout_.jump_cache() + offset); };
  const auto leave_if_different = [&] {
    Stub stub{.patch = e_.jump_if(kConditionNe), .site = site};
    stub.address = Stub::Address::kTarget;
    stub.address_register = static_cast<uint8_t>(target);
    stubs_.push_back(stub);
  };
  sites_[site].resume = e_.at();
  e_.imul(reg32(index), reg32(target), static_cast<int>(Frame::kJumpHash));
  e_.shr(reg32(index), Frame::kJumpShift);
  e_.and_(reg32(index), Frame::kJumpMask);
  e_.gs();
  e_.cmp(reg64(target), ptr[field(offsetof(JumpEntry, rip))]);
  leave_if_different();
  e_.gs();
  e_.cmp(dword[field(offsetof(JumpEntry, mode))], block_->mode.value());
  leave_if_different();
}

/// Jumps to the linear address in scratch register `target`, after adding `stack_change` to rsp.
void Builder::emit_indirect(const DecodedInstruction& d, unsigned target, int stack_change) {
  save_flags_if_live(d);
  const unsigned index = index_register(target);
  emit_jump_cache_look_up(target, index, add_site(SiteKind::kIndirect, &d));
  settle_registers();
  if (stack_change != 0) emit_stack_change(stack_change);
  e_.gs();
  e_.jmp(ptr[reg64(index) * 2 + (layout_.jump_cache() + offsetof(JumpEntry, code))]);
}

/// The same, for a return whose target was at [rsp].
void Builder::emit_return(const DecodedInstruction& d, unsigned target, int stack_change) {
  const auto table = return_table();
  if (!table) return emit_indirect(d, target, stack_change);
  save_flags_if_live(d);
  const unsigned index = index_register(target);
  const uint32_t site = add_site(SiteKind::kIndirect, &d);
  e_.mov(reg32(index), esp);
  if (!block_->mode.long_code()) e_.add(reg32(index), reg32(index));
  e_.and_(reg32(index), kReturnMask);
  e_.gs();
  e_.cmp(reg64(target), ptr[reg64(index) * 2 + (layout_.returns(*table) + offsetof(ReturnEntry, rip))]);
  const uint32_t patch = e_.jump_if(kConditionNe);
  return_misses_.push_back({patch, e_.at(), site, static_cast<uint8_t>(target), static_cast<uint8_t>(index)});
  settle_registers();
  emit_stack_change(stack_change);
  e_.gs();
  e_.jmp(ptr[reg64(index) * 2 + (layout_.returns(*table) + offsetof(ReturnEntry, code))]);
}

/// Behind the block: the jump cache's entry takes the place of the one in the table of returns.
void Builder::emit_return_miss(const ReturnMiss& miss) {
  const size_t before = stubs_.size();
  e_.patch_here(miss.patch);
  emit_jump_cache_look_up(miss.target, miss.index, miss.site);
  const uint32_t distance = layout_.jump_cache() - layout_.returns(*return_table());
  e_.lea(reg32(miss.index), ptr[reg64(miss.index) + distance / 2]);
  e_.jump(miss.back);
  for (size_t i = before; i < stubs_.size(); ++i) e_.patch_here(stubs_[i].patch);
  stubs_.resize(before);
  e_.store(layout_.address(), miss.target);
  leave(miss.site);
}

/// At a call, with rsp as before it.
void Builder::emit_remember_return(const DecodedInstruction& d) {
  if (!predicts_returns_) return;
  auto table = return_table();
  const bool opens = !table && return_modes_.size() < Frame::kReturnTables;
  if (opens) {
    table = static_cast<unsigned>(return_modes_.size());
    return_modes_.push_back(block_->mode);
    opened_ = {*table, rip_after(d), 0};
  }
  if (!table) return;
  save_flags_if_live(d);
  free_register(x86::kR10);
  free_register(x86::kR11);
  const auto field = [&](size_t offset) { return r11 * 2 + (layout_.returns(*table) + offset); };
  e_.lea(r11d, ptr[rsp - static_cast<int>(stack_width())]);
  if (!block_->mode.long_code()) e_.add(r11d, r11d);
  e_.and_(r11d, kReturnMask);
  const uint64_t rip = rip_after(d);
  if (rip == static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(rip)))) {
    e_.gs();
    e_.mov(qword[field(offsetof(ReturnEntry, rip))], rip);
  } else {
    e_.load_constant(x86::kR10, rip);
    e_.gs();
    e_.mov(qword[field(offsetof(ReturnEntry, rip))], r10);
  }
  e_.db(0x4c);  // lea r10, [rip + rel32]
  e_.db(0x8d);
  e_.db(0x15);
  const uint32_t patch = e_.at();
  e_.dd(0);
  e_.gs();
  e_.mov(qword[field(offsetof(ReturnEntry, code))], r10);

  const uint32_t site = jump_site(&d, rip_after(d));
  sites_[site].is_landing = true;
  sites_[site].in_slot = homeless();
  sites_[site].flags_saved = true;
  landing_ = {patch, site};
}

/// Behind the block.
void Builder::emit_landing(const Landing& landing) {
  e_.patch_here(landing.patch);
  if (opened_) opened_->landing = e_.at();
  sites_[landing.site].patch = e_.jump();
  stubs_.push_back({.patch = sites_[landing.site].patch, .site = landing.site});
}

}  // namespace eidolon::engine::translate
