// Indirect jumps.
//
// The jump cache is a hash table from (linear address, mode) to code. What it does not know leaves at a site
// with the target in Frame::address, and is tried again once the cache knows it, or stepped: nothing of the
// guest's state has changed by then.
//
// The index is in r11 or r10, homeless registers (builder.h), which everything else is settled around.
#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

/// A register for the index of an entry.
unsigned Builder::index_register(unsigned target) {
  const unsigned index = target == x86::kR11 ? x86::kR10 : x86::kR11;
  free_register(index);
  busy_ |= register_bit(index);
  return index;
}

/// `index`: times 2 the offset of the entry, if the cache knows the target in `mode`; else leaves at `site`.
void Builder::emit_jump_cache_look_up(unsigned target, unsigned index, uint32_t site, Mode mode) {
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
  e_.cmp(dword[field(offsetof(JumpEntry, mode))], mode.value());
  leave_if_different();
}

/// To the code that the look-up found.
void Builder::emit_jump_cache_jump(unsigned index) {
  e_.gs();
  e_.jmp(ptr[reg64(index) * 2 + (layout_.jump_cache() + offsetof(JumpEntry, code))]);
}

/// Jumps to the linear address in scratch register `target`, after adding `stack_change` to rsp.
void Builder::emit_indirect(const DecodedInstruction& d, unsigned target, int stack_change) {
  save_flags_if_live(d);
  const unsigned index = index_register(target);
  emit_jump_cache_look_up(target, index, add_site(SiteKind::kIndirect, &d), block_->mode);
  settle_registers();
  if (stack_change != 0) emit_stack_change(stack_change);
  emit_jump_cache_jump(index);
}

}  // namespace eidolon::engine::translate
