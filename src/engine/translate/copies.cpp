// Translations that are there already, for the same bytes at another linear address (builder_copy.cpp). A
// program that is started again does much of what it did before, so a copied block takes along those that it
// went on to.
#include "engine/translate/impl.h"

namespace eidolon::engine {

using namespace translate;

/// The block at State::rip as a copy, or null.
TranslateEngine::Impl::Block* TranslateEngine::Impl::copy_block(memory::GuestPhysical physical, Mode mode,
                                                                bool unshared) {
  if (observer_ != nullptr && !observer_->takes_copies()) return nullptr;
  const Block* from = blocks_.original(physical, mode, unshared);
  if (from == nullptr) return nullptr;
  const InPart in(part_, Part::kTranslating);
  copied_.clear();
  Block* block = copy(*from, cpu_.state.rip);
  // In a round no jump is linked.
  if (!builder_.predicts_returns()) return block;
  for (size_t i = 0; i < copied_.size() && copied_.size() < kMostCopiedAtOnce; ++i)
    take_along(*copied_[i].from, *copied_[i].to);
  return block;
}

/// One block, or null if it cannot be copied there or the cache is full.
TranslateEngine::Impl::Block* TranslateEngine::Impl::copy(const Block& from, uint64_t rip) {
  if (!builder_.can_copy(from, rip) || !has_room(kBlockReserve) || has_breakpoint(rip, from.length))
    return nullptr;
  supply_code();
  Block& block = blocks_.create(rip, from.physical, from.mode, Block::kNoPage);
  builder_.copy(from, block);
  blocks_.publish(block);
  copied_.push_back({&from, &block});
  ++statistics_.copied;
  if (observer_ != nullptr) observer_->copied(block, cache_->executable(0));
  return &block;
}

/// Links the jumps of a copy where those of the other are linked, as far as the same bytes are there.
void TranslateEngine::Impl::take_along(const Block& from, const Block& to) {
  for (uint32_t i = 0; i < from.site_count; ++i) {
    const Site site = sites_[from.first_site + i];
    if (site.kind != SiteKind::kJump || site.linked == nullptr || site.unshared) continue;
    const uint32_t own = to.first_site + i;
    if (Block* target = counterpart(*site.linked, sites_[own].target); target != nullptr) link(own, *target);
  }
}

/// The block at `rip`, copied now if need be, if it is of the same bytes and mode as `block`; else null.
TranslateEngine::Impl::Block* TranslateEngine::Impl::counterpart(const Block& block, uint64_t rip) {
  const auto physical = mappings_.fetch_address(rip, block.mode.user());
  if (!physical || *physical != block.physical) return nullptr;
  Block* there = blocks_.find(rip, *physical, block.mode);
  if (there == nullptr) {
    const Block* original = blocks_.original(*physical, block.mode, false);
    there = original == nullptr ? nullptr : copy(*original, rip);
  }
  if (there == nullptr || there->crosses()) return nullptr;
  remember_pages(*there);
  return there;
}

}  // namespace eidolon::engine
