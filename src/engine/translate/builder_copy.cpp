// Copies of blocks: the same guest-physical bytes at another linear address, as of a position-independent program
// that is started again, have the same code but for a few places. These are noted when a block is built.
//
// Only blocks of 64-bit user code far above 4 GiB are copied, where no linear address has one of the shorter
// forms that constants can have, so that every place has the same size wherever the bytes are.
#include <algorithm>

#include "engine/translate/builder.h"
#include "isa/rewrite.h"

namespace eidolon::engine::translate {

namespace {

/// Addresses within 2 GiB of these have 64-bit forms only, and so have their negatives.
constexpr uint64_t kLowest = uint64_t{1} << 33, kEnd = uint64_t{1} << 47;

bool is_far_up(uint64_t rip) { return rip >= kLowest && rip < kEnd; }

/// A constant address that does not move with the instruction, in a segment that may have others that do.
bool has_fixed_address(const isa::Instruction& in) {
  const ZydisDecodedOperand* operand = isa::memory_operand(in);
  if (operand == nullptr || operand->mem.index != ZYDIS_REGISTER_NONE) return false;
  const ZydisRegister base = operand->mem.base;
  const bool has_segment =
      operand->mem.segment == ZYDIS_REGISTER_FS || operand->mem.segment == ZYDIS_REGISTER_GS;
  if (base == ZYDIS_REGISTER_RIP) return has_segment;
  return base == ZYDIS_REGISTER_EIP || (base == ZYDIS_REGISTER_NONE && !has_segment);
}

}  // namespace

/// Where the code of a block and what belongs to it go.
struct Builder::Move {
  const Block& from;
  uint64_t linear;           ///< these are added
  uint32_t hot, cold, site;

  /// Of an offset in the code cache, which may be outside of the block.
  [[nodiscard]] uint32_t of(uint32_t offset) const {
    if (offset >= from.begin && offset < from.end) return offset + hot;
    if (offset >= from.cold_begin && offset < from.cold_end) return offset + cold;
    return offset;
  }
};

bool Builder::may_be_copied() const {
  const Block& block = *block_;
  if (!block.mode.user() || !block.mode.long_code() || block.crosses() || !is_far_up(block.rip)) return false;
  return std::ranges::none_of(analysis_->instructions(),
                              [](const DecodedInstruction& d) { return has_fixed_address(*d.instruction); });
}

void Builder::begin_relocations() {
  block_->may_be_copied = may_be_copied();
  block_->first_relocation = static_cast<uint32_t>(relocations_.size());
  if (block_->may_be_copied) e_.note_relocations_in(&relocations_);
}

/// Keeps those of the block: what others share was emitted on the way.
void Builder::end_relocations() {
  e_.note_relocations_in(nullptr);
  const Move nowhere{*block_, 0, 1, 1, 0};
  const auto first = relocations_.begin() + block_->first_relocation;
  relocations_.erase(std::remove_if(first, relocations_.end(),
                                    [&](const Relocation& r) { return nowhere.of(r.at) == r.at; }),
                     relocations_.end());
  block_->relocation_count = static_cast<uint32_t>(relocations_.size()) - block_->first_relocation;
}

bool Builder::can_copy(const Block& from, uint64_t rip) const {
  return from.may_be_copied && is_far_up(rip) && sites_.size() + from.site_count <= kMostReturnSites;
}

void Builder::copy(const Block& from, Block& to) {
  if (e_.minds_lines() || from.entry_loop != 0) e_.lie_as(from.begin);
  const auto first_site = static_cast<uint32_t>(sites_.size());
  const Move move{.from = from,
                  .linear = to.rip - from.rip,
                  .hot = e_.at() - from.begin,
                  .cold = e_.cold_at() - from.cold_begin,
                  .site = first_site - from.first_site};
  e_.copy(from.begin, from.end);
  e_.go_cold();
  e_.copy(from.cold_begin, from.cold_end);
  e_.go_hot();

  to.unshared = from.unshared;
  to.flags_live_in = from.flags_live_in;
  to.flags_saved_in = from.flags_saved_in;
  to.length = from.length;
  to.instructions = from.instructions;
  to.watches = from.watches;
  for (unsigned i = 0; i < kEntries; ++i)
    if (const uint32_t there = move.of(from.entries[i]); there != from.entries[i]) to.entries[i] = there;
  to.entry_loop = move.of(from.entry_loop);
  to.begin = from.begin + move.hot;
  to.end = from.end + move.hot;
  to.cold_begin = from.cold_begin + move.cold;
  to.cold_end = from.cold_end + move.cold;
  to.landing_patch = move.of(from.landing_patch);
  to.landing_stub = move.of(from.landing_stub);
  relocate(to, move);
  copy_sites(to, move);
  copy_fault_points(to, move);
}

void Builder::relocate(const Block& to, const Move& move) {
  using Kind = Relocation::Kind;
  const Block& from = move.from;
  const bool user = from.mode.user();
  for (uint32_t i = from.first_relocation; i < from.first_relocation + from.relocation_count; ++i) {
    const uint32_t at = move.of(relocations_[i].at);
    switch (relocations_[i].kind()) {
      case Kind::kJump:
        e_.set_target(at, move.of(e_.target_at(relocations_[i].at)));
        break;
      case Kind::kSite:
        e_.add_to_word(at, move.site);
        break;
      case Kind::kReturnSite:
        e_.add_to_word(at, move.site << kReturnSiteShift);
        break;
      case Kind::kAddress:
        e_.add_to_quadword(at, move.linear);
        break;
      case Kind::kNegatedAddress:
        e_.add_to_quadword(at, 0 - move.linear);
        break;
      case Kind::kPageSlot:
        e_.add_to_word(at, page_id_of(to.rip, user) - page_id_of(from.rip, user));
        break;
      case Kind::kPageId:
        e_.add_to_word(at, to.page_id - from.page_id);
        break;
      case Kind::kNegatedPageId:
        e_.add_to_word(at, from.page_id - to.page_id);
        break;
    }
  }
}

/// As they were when `from` had just been built: nothing is linked yet.
void Builder::copy_sites(Block& to, const Move& move) {
  const Block& from = move.from;
  to.first_site = from.first_site + move.site;
  to.site_count = from.site_count;
  for (uint32_t i = from.first_site; i < from.first_site + from.site_count; ++i) {
    Site site = sites_[i];
    site.block = &to;
    site.linked = nullptr;
    site.next_link = kNone;
    site.patch = move.of(site.patch);
    site.stub = move.of(site.stub);
    site.resume = move.of(site.resume);
    if (site.kind == SiteKind::kJump) site.target += move.linear;
    if (site.patch != kNone) e_.set_target(site.patch, site.stub);
    site.spans = site.kind == SiteKind::kMemory && site.patch != kNone;
    sites_.push_back(site);
  }
  if (to.landing_patch != kNone) e_.set_target(to.landing_patch, to.landing_stub);
}

void Builder::copy_fault_points(Block& to, const Move& move) {
  const Block& from = move.from;
  const auto first = std::ranges::upper_bound(faults_, from.begin, {}, &FaultPoint::host_end);
  for (auto i = static_cast<size_t>(first - faults_.begin()); i < faults_.size(); ++i) {
    FaultPoint point = faults_[i];
    if (point.block != &from) break;
    point.block = &to;
    point.host_end += move.hot;
    faults_.push_back(point);
  }
}

}  // namespace eidolon::engine::translate
