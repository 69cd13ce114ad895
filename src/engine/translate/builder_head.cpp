// The entries of a block.
//
// entry_checked asks whether the block's pages are still mapped where they were, then whether an event is
// pending; entry_events asks for the event only, entry_body for nothing.
//
// A block that uses x87 or vector state asks, whichever way it is entered but for its jump to itself, whether
// that is in the host's registers.
//
// A block that reads flags before it writes them finds them either in Frame::saved_flags, if it would put
// them aside first of all, or in the host's flags. In these they must not change on the way in: the questions
// are asked by means of JRCXZ, with r11 (homeless, builder.h) for rcx. entry_saved and entry_host are
// entry_checked for whoever has the flags in the one or the other place.
#include <algorithm>

#include "engine/translate/builder.h"

namespace eidolon::engine::translate {

using namespace Xbyak::util;

void Builder::emit_head() {
  if (block_->flags_live_in && !block_->flags_saved_in) return emit_head_keeping_flags();
  const auto check = [&](SiteKind kind) {
    const Stub stub{.patch = e_.jump_if(kConditionNe), .site = add_site(kind, nullptr)};
    stubs_.push_back(stub);
    return stub.site;
  };
  const auto check_page = [&](uint64_t rip, uint32_t page_id) {
    e_.compare32(page_id_of(rip), page_id);
    return check(SiteKind::kPage);
  };

  block_->entry_checked = block_->entry_saved = block_->entry_host = e_.at();
  const uint32_t page_site = check_page(block_->rip, block_->page_id);
  const uint32_t last_page_site =
      block_->crosses() ? check_page(block_->second_rip(), block_->second_page_id) : page_site;

  block_->entry_events = e_.at();
  e_.compare32(layout_.events(), 0);
  const uint32_t event_site = check(SiteKind::kEvent);

  block_->entry_body = e_.at();
  sites_[page_site].resume = sites_[last_page_site].resume = block_->entry_events;
  sites_[event_site].resume = block_->entry_body;
  if (!uses_extended_state()) return;
  e_.compare32(layout_.extended_away(), 0);
  const uint32_t extended_site = check(SiteKind::kExtended);
  sites_[extended_site].resume = e_.at();
}

void Builder::emit_head_keeping_flags() {
  const auto leave_unless_rcx_is_0 = [&](SiteKind kind) {
    constexpr uint8_t kJrcxz = 0xe3, kLengthOfJump = 5;
    e_.db(kJrcxz);
    e_.db(kLengthOfJump);
    Stub stub{.patch = e_.jump(), .site = add_site(kind, nullptr)};
    stub.rcx_in_r11 = true;
    stubs_.push_back(stub);
    return stub.site;
  };
  const auto check_page = [&](uint64_t rip, uint32_t page_id) {
    e_.gs();
    e_.mov(ecx, dword[Xbyak::RegExp(page_id_of(rip))]);
    e_.lea(ecx, ptr[rcx - static_cast<int>(page_id)]);
    return leave_unless_rcx_is_0(SiteKind::kPage);
  };

  block_->entry_checked = block_->entry_host = e_.at();
  e_.mov(r11, rcx);
  const uint32_t page_site = check_page(block_->rip, block_->page_id);
  const uint32_t last_page_site =
      block_->crosses() ? check_page(block_->second_rip(), block_->second_page_id) : page_site;
  e_.mov(rcx, r11);

  block_->entry_events = e_.at();
  e_.mov(r11, rcx);
  e_.gs();
  e_.mov(ecx, dword[Xbyak::RegExp(layout_.events())]);
  const uint32_t event_site = leave_unless_rcx_is_0(SiteKind::kEvent);
  e_.mov(rcx, r11);

  block_->entry_body = e_.at();
  sites_[page_site].resume = sites_[last_page_site].resume = block_->entry_events;
  sites_[event_site].resume = block_->entry_body;
  if (!uses_extended_state()) return;
  e_.mov(r11, rcx);
  e_.gs();
  e_.mov(ecx, dword[Xbyak::RegExp(layout_.extended_away())]);
  const uint32_t extended_site = leave_unless_rcx_is_0(SiteKind::kExtended);
  e_.mov(rcx, r11);
  sites_[extended_site].resume = e_.at();
}

/// What is stepped finds it in State::fpu.
bool Builder::uses_extended_state() const {
  return std::ranges::any_of(analysis_->instructions(), [](const DecodedInstruction& d) {
    return d.use.touches_simd_or_x87 && !d.step;
  });
}

/// Behind the block: the entry for those who have the flags in the other place.
void Builder::emit_other_entry() {
  if (!block_->flags_live_in) return;
  (block_->flags_saved_in ? block_->entry_host : block_->entry_saved) = e_.at();
  e_.mov(r11, rax);
  if (block_->flags_saved_in)
    emit_save_flags();
  else
    emit_restore_flags();
  e_.mov(rax, r11);
  e_.jump(block_->entry_checked);
}

/// Whether the flags that the block finds have to be put aside before they are read.
bool Builder::prefers_flags_saved() const {
  for (const DecodedInstruction& d : analysis_->instructions()) {
    const bool plain =
        d.instruction->klass == isa::Class::kInnocuous && !isa::memory_operand_is_accessed(*d.instruction);
    const bool direct_jump = d.instruction->klass == isa::Class::kControlFlow &&
                             d.instruction->mnemonic() != ZYDIS_MNEMONIC_CALL &&
                             d.instruction->mnemonic() != ZYDIS_MNEMONIC_RET &&
                             d.instruction->operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    if (d.step || (!plain && !direct_jump)) return true;
    if (((d.use.flags_read | d.use.flags_written) & kArithmetic) != 0) return false;
  }
  return true;
}

uint32_t Builder::page_id_of(uint64_t rip) const {
  return layout_.page_ids() +
         static_cast<uint32_t>(Frame::page_slot(rip, block_->mode.user()) * sizeof(uint32_t));
}

}  // namespace eidolon::engine::translate
