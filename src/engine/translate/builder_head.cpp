// The ways into a block (Entry, block.h).
//
// The one that is wanted first lies in front of the block, unless that is its body; others are emitted when
// they are wanted, and jump there.
//
// A block that uses x87 or vector state asks, whichever way it is entered but for its jump to itself, whether
// that is in the host's registers.
//
// A block that reads flags before it writes them finds them either in Frame::saved_flags, if it would put
// them aside first of all, or in the host's flags. In these they must not change on the way in: the questions
// are asked by means of JRCXZ, with r11 (homeless, builder.h) for rcx.
#include <algorithm>

#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

void Builder::emit_head(Entry entry) {
  block_->begin = e_.at();
  const auto first = static_cast<uint32_t>(sites_.size());
  // There is no table if the code has all gone, or the mode is another, since the call.
  if (entry == Entry::kReturned && !block_->flags_live_in && return_table(block_->mode)) emit_returned_entry();
  if (entry >= Entry::kChecked)
    emit_checked_entry();
  else if (entry == Entry::kEvents || jumps_to_itself())
    emit_events_entry();
  block_->entry(Entry::kBody) = e_.at();
  for (uint32_t site = first; site < sites_.size(); ++site)
    if (sites_[site].kind == SiteKind::kEvent) sites_[site].resume = e_.at();
  if (!uses_extended_state()) return;
  begin_questions();
  const uint32_t extended_site = ask(SiteKind::kExtended, layout_.extended_away(), 0);
  end_questions();
  sites_[extended_site].resume = e_.at();
}

void Builder::add_entry(Block& block, Entry entry) {
  block_ = &block;
  stubs_.clear();
  in_slot_ = slot_valid_ = homeless();
  flags_saved_ = saved_valid_ = block.flags_saved_in;
  pinned_ = busy_ = 0;
  if (entry == Entry::kReturned) emit_returned_entry();
  const bool checked = entry != Entry::kEvents;
  if (!checked)
    emit_events_entry();
  else if (block.entry(Entry::kChecked) == 0)
    emit_checked_entry();
  // It goes through to what is there already.
  if (!stubs_.empty())
    e_.jump(block.entry(Entry::kBody));
  else if (entry == Entry::kReturned)
    e_.jump(block.entry(Entry::kChecked));
  e_.go_cold();
  for (const Stub& stub : stubs_) emit_stub(stub);
  if (block.entry(entry) == 0) emit_other_entry(entry);
  e_.go_hot();
}

void Builder::emit_events_entry() {
  block_->entry(Entry::kEvents) = e_.at();
  begin_questions();
  const uint32_t site = ask(SiteKind::kEvent, layout_.events(), 0);
  end_questions();
  sites_[site].resume = block_->entry(Entry::kBody);
}

void Builder::emit_checked_entry() {
  block_->entry(Entry::kChecked) = e_.at();
  block_->entry(keeps_flags() ? Entry::kHost : Entry::kSaved) = e_.at();
  if (!block_->flags_live_in) block_->entry(Entry::kHost) = e_.at();
  const auto first = static_cast<uint32_t>(sites_.size());
  emit_page_questions();
  const auto end = static_cast<uint32_t>(sites_.size());
  emit_events_entry();
  for (uint32_t site = first; site < end; ++site) sites_[site].resume = block_->entry(Entry::kEvents);
}

void Builder::emit_page_questions() {
  const bool user = block_->mode.user();
  begin_questions();
  ask(SiteKind::kPage, page_id_of(block_->rip, user), block_->page_id);
  if (block_->crosses()) ask(SiteKind::kPage, page_id_of(block_->second_rip(), user), block_->second_page_id);
  end_questions();
}

/// Leaves unless the word in the per-processor area is `expected`. Returns the site.
uint32_t Builder::ask(SiteKind kind, uint32_t displacement, uint32_t expected) {
  const uint32_t site = add_site(kind, nullptr);
  const bool of_page = kind == SiteKind::kPage;
  Stub stub{.patch = 0, .site = site};
  if (keeps_flags()) {
    constexpr uint8_t kJrcxz = 0xe3, kLengthOfJump = 5;
    e_.gs();
    e_.mov(ecx, dword[Xbyak::RegExp(displacement)]);
    if (of_page) e_.note(Relocation::Kind::kPageSlot);
    if (expected != 0) e_.lea(ecx, ptr[rcx - static_cast<int>(expected)]);
    if (of_page) e_.note(Relocation::Kind::kNegatedPageId);
    e_.db(kJrcxz);
    e_.db(kLengthOfJump);
    stub.patch = e_.jump();
    stub.rcx_in_r11 = true;
  } else {
    e_.compare32(displacement, expected);
    if (of_page) e_.note(Relocation::Kind::kPageSlot, 8);
    if (of_page) e_.note(Relocation::Kind::kPageId);
    stub.patch = e_.jump_if(kConditionNe);
  }
  stubs_.push_back(stub);
  return site;
}

void Builder::begin_questions() {
  if (keeps_flags()) e_.mov(r11, rcx);
}
void Builder::end_questions() {
  if (keeps_flags()) e_.mov(rcx, r11);
}

/// A loop, whose head will be entered by its own jump backward.
bool Builder::jumps_to_itself() const {
  const DecodedInstruction& last = analysis_->instructions().back();
  return !last.step && is_direct_jump(*last.instruction) &&
         truncate(rip_after(last) + static_cast<uint64_t>(last.immediate)) == block_->rip;
}

/// What is stepped finds it in State::fpu.
bool Builder::uses_extended_state() const {
  return std::ranges::any_of(analysis_->instructions(), [](const DecodedInstruction& d) {
    return d.use.touches_simd_or_x87 && !d.step;
  });
}

/// Elsewhere: for those who have the flags in the other place.
void Builder::emit_other_entry(Entry entry) {
  block_->entry(entry) = e_.at();
  e_.mov(r11, rax);
  if (entry == Entry::kHost)
    emit_save_flags();
  else
    emit_restore_flags();
  e_.mov(rax, r11);
  e_.jump(block_->entry(Entry::kChecked));
}

/// Whether the flags that the block finds have to be put aside before they are read.
bool Builder::prefers_flags_saved() const {
  for (const DecodedInstruction& d : analysis_->instructions()) {
    const bool plain =
        d.instruction->klass == isa::Class::kInnocuous && !isa::memory_operand_is_accessed(*d.instruction);
    if (d.step || (!plain && !is_direct_jump(*d.instruction))) return true;
    if (((d.use.flags_read | d.use.flags_written) & kArithmetic) != 0) return false;
  }
  return true;
}

uint32_t Builder::page_id_of(uint64_t rip, bool user) const {
  return layout_.page_ids() + static_cast<uint32_t>(Frame::page_slot(rip, user) * sizeof(uint32_t));
}

}  // namespace eidolon::engine::translate
