// Blocks that go away, and the links between them.
#include <utility>

#include "engine/translate/impl.h"

namespace eidolon::engine {

using namespace translate;

/// Back to the stub. The caller takes the site off its target's list.
void TranslateEngine::Impl::unlink(uint32_t site_index) {
  Site& site = sites_[site_index];
  cache_->patch_jump(site.patch, site.stub);
  if (site.is_landing) cache_->patch_jump(site.block->landing_patch, site.block->landing_stub);
  site.linked = nullptr;
  site.next_link = kNone;
}

/// Nothing reaches the block any more, but it may be under way: its code stays until the next flush.
void TranslateEngine::Impl::invalidate(Block& block) {
  if (!block.valid) return;
  block.valid = false;
  blocks_.remove(block);
  for (uint32_t site = block.incoming; site != kNone;) {
    const uint32_t next = sites_[site].next_link;
    unlink(site);
    site = next;
  }
  block.incoming = kNone;
  for (uint32_t index = block.first_site; index < block.first_site + block.site_count; ++index) {
    Site& site = sites_[index];
    if (site.kind != SiteKind::kJump || site.linked == nullptr) continue;
    uint32_t* link = &site.linked->incoming;
    while (*link != kNone && *link != index) link = &sites_[*link].next_link;
    if (*link == index) *link = site.next_link;
    unlink(index);
  }
  // Returns that were noted go there until the table has forgotten.
  if (const uint32_t returned = block.entry(Entry::kReturned); returned != 0)
    cache_->place_jump(returned, builder_.unknown_return(block.mode));
  JumpEntry& entry = frame_.jump_cache[Frame::jump_slot(block.rip)];
  if (entry.code == cache_->executable(block.entry(Entry::kSaved))) entry.mode = JumpEntry::kEmpty;
  ++statistics_.invalidated;
}

void TranslateEngine::Impl::code_written(memory::GuestPhysical address, uint64_t length) {
  code_unmapped(address, length);
  if (blocks_.on_page(address).empty()) cpu_.memory.clear_code(address, cpu_.index);
}

/// The page that was shown there keeps its mark until it is written to where it is shown next.
void TranslateEngine::Impl::code_unmapped(memory::GuestPhysical address, uint64_t length) {
  cpu_.release_extended_state();
  const auto drop = [&](Block* block, Block* Block::*next_on_page) {
    while (block != nullptr) {
      Block* next = block->*next_on_page;
      if (block->depends_on(address, length)) invalidate(*block);
      block = next;
    }
  };
  drop(blocks_.on_page(address).first, &Block::next_in_page);
  drop(blocks_.on_page(address).first_second, &Block::next_in_second_page);
}

/// A debugger's breakpoints may be others than at the last run(). No block has one, so that such code is
/// stepped, and `step` asks at each instruction; generated code knows nothing of them.
void TranslateEngine::Impl::follow_breakpoints() {
  const uint64_t changes = cpu_.breakpoints == nullptr ? 0 : cpu_.breakpoints->changes();
  if (std::exchange(breakpoints_seen_, changes) == changes || changes == 0) return;
  for (const memory::GuestPhysical page : blocks_.pages()) {
    for (Block* block = blocks_.on_page(page).first; block != nullptr;) {
      Block* next = block->next_in_page;
      if (has_breakpoint(block->rip, block->length)) invalidate(*block);
      block = next;
    }
  }
}

/// Drops every block. Not from within generated code: the callers are on their way to another block.
void TranslateEngine::Impl::flush() {
  for (const memory::GuestPhysical page : blocks_.pages()) cpu_.memory.clear_code(page, cpu_.index);
  blocks_.clear();
  sites_.clear();
  faults_.clear();
  relocations_.clear();
  pool_.clear();
  emitter_.rewind(trampolines_.end);
  emitter_.rewind_cold(cold_start());
  builder_.forget_code();
  mappings_.forget_ids();
  frame_.jump_cache.fill({0, 0, JumpEntry::kEmpty});
  flush_wanted_ = false;
  if (observer_ != nullptr) observer_->emptied(cache_->executable(0), trampolines_.end);
  ++statistics_.flushes;
}

}  // namespace eidolon::engine
