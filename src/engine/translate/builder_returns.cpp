// The prediction of returns.
//
// A call also notes where its return will come back to: host code, in a table of returns. The place in the
// table is chosen by the stack pointer, which is the same behind the return as before the call, so there is
// no stack of predictions that could get out of step. The return jumps to what the table has, whatever it is;
// the code there compares the address returned to with its own, and passes it on if it is another.
//
// That code is the landing, elsewhere in the cache, until the block behind the call has been met. From then
// on it is that block's kReturned entry, which goes on through its questions and into its body.
//
// The table need not be gone through when blocks or mappings go: entries of blocks ask for the page, and that
// of a block that is dropped becomes a jump to the code for addresses that nobody knows
// (emit_unknown_return), which asks the jump cache. A fresh table leads there, too. There is a table for each
// mode (while there are tables), since an entry is good for the mode it was made in.
//
// Between a return and the block that it goes on at, everything is settled, rsp has moved, and
//   r11  is the linear address returned to,
//   r9   is the index of the return's site << 8, plus 1 if the guest's flags are put aside; else they are in
//        the host's,
//   r10  is free, and so is rcx where it waits in r10.
// The comparison leaves the flags alone and need not know where they are, unless the block behind it reads
// them: such a block has no kReturned entry, and its calls' landings put the flags aside first. So code whose
// flags nobody reads behind a return, which is nearly all, need not put them aside: its stack is checked
// before the last instruction that writes flags (hoist_stack_check), and nothing else that is emitted for a
// return changes them.
#include "base/assert.h"
#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

namespace {
constexpr uint8_t kJrcxz = 0xe3;
static_assert(Frame::kReturnEntries == 256, "a byte is the index of an entry");
}  // namespace

std::optional<unsigned> Builder::return_table(Mode mode) const {
  for (unsigned table = 0; table < return_tables_.size(); ++table)
    if (return_tables_[table].mode == mode) return table;
  return std::nullopt;
}

uint32_t Builder::unknown_return(Mode mode) const { return return_tables_[*return_table(mode)].unknown; }

unsigned Builder::open_return_table() {
  ReturnTable& table = return_tables_.emplace_back(ReturnTable{block_->mode, 0, 0});
  e_.go_cold();
  emit_unknown_return(table);
  e_.go_hot();
  const auto index = static_cast<unsigned>(return_tables_.size() - 1);
  opened_ = {index, table.unknown};
  return index;
}

/// The index of the entry for a return behind which rsp is what it is now, plus `displacement`.
void Builder::emit_return_index(unsigned to, int displacement) {
  const Xbyak::Reg32 index(static_cast<int>(to));
  const int shift = block_->mode.long_code() ? 3 : 2;
  unsigned from = x86::kRsp;
  if (displacement != 0 || !has_bmi2_) {
    e_.with_operand(Emitter::kLea, false, to, {.base = x86::kRsp, .displacement = displacement});
    from = to;
  }
  if (has_bmi2_)
    e_.rorx(index, reg32(from), static_cast<uint8_t>(shift));
  else
    e_.shr(index, shift);
  e_.movzx(index, Xbyak::Reg8(static_cast<int>(to)));
}

/// Jumps to the linear address in scratch register `target`, which was at [rsp], after adding `stack_change`
/// to rsp.
void Builder::emit_return(const DecodedInstruction& d, unsigned target, int stack_change) {
  const auto table = return_table(block_->mode);
  if (!table || sites_.size() >= kMostReturnSites) {
    settle_stack();
    return emit_indirect(d, target, stack_change);
  }
  if (!has_bmi2_) save_flags_if_live(d);
  held_.clear();
  free_register(x86::kR11);
  if (target != x86::kR11) e_.move(true, x86::kR11, target);
  settle_registers();
  const uint32_t index = add_site(SiteKind::kIndirect, &d);
  sites_[index].flags_saved = true;
  sites_[index].target = static_cast<uint64_t>(stack_change);
  sites_[index].resume = return_tables_[*table].look_up;
  emit_stack_change(stack_change);
  emit_return_index(x86::kR10, static_cast<int>(stack_width()) - stack_change);
  e_.load_constant(x86::kR9, index << kReturnSiteShift | (flags_saved_ ? 1u : 0u));
  e_.note(Relocation::Kind::kReturnSite);
  e_.gs();
  e_.jmp(ptr[r10 * 8 + layout_.returns(*table)]);
}

/// At a call, with rsp as before it.
void Builder::emit_remember_return(const DecodedInstruction& d) {
  if (!predicts_returns_) return;
  auto table = return_table(block_->mode);
  if (!table && return_tables_.size() < Frame::kReturnTables) table = open_return_table();
  if (!table) return;
  if (!has_bmi2_) save_flags_if_live(d);
  held_.clear();
  free_register(x86::kR10);
  free_register(x86::kR11);
  emit_return_index(x86::kR11, 0);
  e_.db(0x4c);  // lea r10, [rip + rel32]
  e_.db(0x8d);
  e_.db(0x15);
  const uint32_t patch = e_.at();
  e_.dd(0);
  e_.note(Relocation::Kind::kJump);
  e_.gs();
  e_.mov(qword[r11 * 8 + layout_.returns(*table)], r10);

  const uint32_t site = jump_site(&d, rip_after(d));
  sites_[site].is_landing = true;
  sites_[site].in_slot = homeless();
  sites_[site].flags_saved = true;
  landing_ = {patch, site, *table};
}

/// Goes on behind this if r11 is `rip`. Leaves the flags alone.
void Builder::emit_unless_returned_to(uint64_t rip, uint32_t unknown) {
  constexpr uint8_t kOverTheWayOut = 8;  // bytes: mov rcx, r10; jmp rel32
  const Xbyak::Reg difference = block_->mode.long_code() ? Xbyak::Reg(rcx) : Xbyak::Reg(ecx);
  const auto low = static_cast<int32_t>(rip);
  const bool short_form =
      low != INT32_MIN && (!block_->mode.long_code() || static_cast<uint64_t>(int64_t{low}) == rip);
  e_.mov(r10, rcx);
  if (short_form) {
    e_.lea(difference, ptr[r11 - low]);
  } else {
    e_.load_constant(x86::kRcx, 0 - rip);
    e_.note(Relocation::Kind::kNegatedAddress, 8);
    e_.lea(difference, ptr[rcx + r11]);
  }
  e_.db(kJrcxz);
  e_.db(kOverTheWayOut);
  const uint32_t begin = e_.at();
  e_.mov(rcx, r10);
  e_.jump(unknown);
  EIDOLON_ASSERT(e_.at() - begin == kOverTheWayOut);
  e_.mov(rcx, r10);
}

/// Of a block that reads no flags.
void Builder::emit_returned_entry() {
  block_->entry(Entry::kReturned) = e_.at();
  emit_unless_returned_to(block_->rip, unknown_return(block_->mode));
}

/// Elsewhere: until the block that is returned to is known, and for one that reads flags.
void Builder::emit_landing(const Landing& landing) {
  block_->landing_patch = landing.patch;
  block_->landing_stub = e_.at();
  e_.patch_here(landing.patch);
  emit_unless_returned_to(sites_[landing.site].target, return_tables_[landing.table].unknown);
  emit_flags_to_memory();
  Site& site = sites_[landing.site];
  site.patch = e_.jump();
  e_.patch_here(site.patch);
  site.stub = e_.at();
  leave(landing.site);
}

/// Puts the flags aside, unless r9 says that they are. Uses r10.
void Builder::emit_flags_to_memory() {
  e_.mov(r10, rcx);
  e_.movzx(ecx, r9b);
  e_.db(kJrcxz);
  const uint32_t to_save = e_.at();
  e_.db(0);
  e_.mov(rcx, r10);
  const uint32_t saved = e_.jump();
  e_.rewrite(to_save, e_.at() - (to_save + 1), 1);
  e_.mov(rcx, r10);
  e_.mov(r10, rax);
  emit_save_flags();
  e_.mov(rax, r10);
  e_.patch_here(saved);
}

/// For returns to where no landing knows.
void Builder::emit_unknown_return(ReturnTable& table) {
  const auto field = [&](size_t offset) { return r10 * 2 + (layout_.jump_cache() + offset); };
  table.unknown = e_.at();
  emit_flags_to_memory();
  table.look_up = e_.at();
  e_.imul(r10d, r11d, static_cast<int>(Frame::kJumpHash));
  e_.shr(r10d, Frame::kJumpShift);
  e_.and_(r10d, Frame::kJumpMask);
  e_.gs();
  e_.cmp(r11, ptr[field(offsetof(JumpEntry, rip))]);
  const uint32_t other_address = e_.jump_if(kConditionNe);
  e_.gs();
  e_.cmp(dword[field(offsetof(JumpEntry, mode))], table.mode.value());
  const uint32_t other_mode = e_.jump_if(kConditionNe);
  e_.gs();
  e_.jmp(ptr[field(offsetof(JumpEntry, code))]);
  e_.patch_here(other_address);
  e_.patch_here(other_mode);
  e_.mov(r10d, r9d);
  e_.shr(r10d, kReturnSiteShift);
  e_.gs();
  e_.mov(dword[Xbyak::RegExp(layout_.site())], r10d);
  e_.store(layout_.address(), x86::kR11);
  e_.jump(trampolines_.exit);
}

}  // namespace eidolon::engine::translate
