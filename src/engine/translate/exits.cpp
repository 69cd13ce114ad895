// What happens when generated code leaves.
//
// The exit handler may be entered with the guest's x87 and vector state still in the host's registers, and
// this file is compiled not to touch them. The frequent exits (a virtual TLB miss that a page walk can
// answer, a jump whose target is known) go on from here; all others see to it that it is saved first
// (leave_slowly).
#include "engine/events.h"
#include "engine/translate/impl.h"

namespace eidolon::engine {

using namespace translate;

uint64_t TranslateEngine::Impl::exit_handler(Frame* frame) {
  auto& engine = *static_cast<Impl*>(frame->engine);
  const InPart in(engine.part_, Part::kExits);
  return engine.handle_exit();
}

uint64_t TranslateEngine::Impl::handle_exit() {
  const Site& site = sites_[frame_.site];
  if (frame_.host_fault_pc == 0) [[likely]] {
    if (site.kind == SiteKind::kExtended) {
      load_extended_state();
      ++statistics_.extended_loads;
      return cache_->executable(site.resume);
    }
    const bool away = frame_.extended_away != 0;
    const bool whole_run = round_ == nullptr;
    if (site.kind == SiteKind::kMemory) {
      if (site.constant) frame_.address = site.target;
      if (const uint64_t host = meet_two_pages(frame_.site)) return stay(host, away);
      std::optional<mmu::PageFault> fault;
      if (const uint64_t host = fill_tlb(site, fault)) return stay(host, away);
      if (fault && whole_run && !site.hoisted) return raise_lightly(site, *fault);
    }
    if (site.kind == SiteKind::kJump)
      if (const uint64_t host = link_lightly(frame_.site)) return host;
    if (site.kind == SiteKind::kPage)
      if (const uint64_t host = confirm_page(site)) return host;
    if (site.kind == SiteKind::kString)
      if (const uint64_t host = run_string(site)) return stay(host, away);
    if (site.kind == SiteKind::kIndirect)
      if (const uint64_t host = find_target(site)) return host;
    if (site.divide_error && whole_run) return raise_divide_error(site);
    if (site.sensitive != kNone && whole_run) return execute_lightly(site);
  }
  return leave_slowly(site);
}

/// Back into the block that left: it has asked for the x87 and vector state already.
uint64_t TranslateEngine::Impl::stay(uint64_t host, bool away) {
  if (!away && frame_.extended_away != 0) load_extended_state();
  return host;
}

/// Several accesses have one check, which met them in two pages: the host address to go on at if the block
/// did not look for that by itself so far, else 0.
uint64_t TranslateEngine::Impl::meet_two_pages(uint32_t site_index) {
  const Site& site = sites_[site_index];
  const bool crosses = (frame_.address & x86::kPageMask) + site.size > x86::kPageSize;
  if (!site.spans || !crosses || cache_->size() - emitter_.cold_at() < kBlockReserve) return 0;
  save_extended_state();  // the assembler's code uses vector registers as it likes
  const uint32_t host = builder_.meet_two_pages(site_index);
  return cache_->executable(host);
}

/// Answers a miss of the virtual TLB if all it takes is a page walk: the host address to try again at, else
/// 0, with the page fault if it is one.
uint64_t TranslateEngine::Impl::fill_tlb(const Site& site, std::optional<mmu::PageFault>& fault) {
  const uint64_t linear = frame_.address;
  const bool crosses = (linear & x86::kPageMask) + site.size > x86::kPageSize;
  if (crosses || (site.block->mode.long_code() && !cpu::is_canonical(linear))) {
    ++statistics_.crossing_accesses;
    return 0;
  }
  const mmu::View view = cpu_.data_view();
  const auto access = site.write ? mmu::Access::kWrite : mmu::Access::kRead;
  const auto resolved = cpu_.mmu.resolve(cpu_.state.control, linear, access, view);
  if (!resolved) {
    ++statistics_.faulting_accesses;
    fault = resolved.error();
    return 0;
  }
  if (resolved->host == nullptr) {
    if (cpu_.memory.page_has_code(resolved->physical)) ++statistics_.code_page_accesses;
    return 0;
  }
  // The entry may still not match (a walk that found another processor's change): then the access is stepped.
  if (cpu_.mmu.tlb().lookup(linear, site.size, site.write_tag, view) == nullptr) return 0;
  ++statistics_.tlb_fills;
  return cache_->executable(site.resume);
}

/// How a direct jump at the site has to enter the code at `rip`, so that all is asked that has to be asked,
/// but for where the flags are.
Entry TranslateEngine::Impl::entry_for(const Site& site, uint64_t rip, bool same_physical_page) {
  const uint64_t from = site.block->rip;
  // What lies on the source's page needs no check of that page. The physical page can be another if the guest
  // changed the mapping without telling the processor yet.
  const bool same_page = (from ^ rip) >> x86::kPageShift == 0 && same_physical_page && !site.is_landing;
  if (!same_page) return Entry::kChecked;
  const bool backward = rip <= from + site.guest_offset;
  return backward ? Entry::kEvents : Entry::kBody;
}

/// The same for a block that is there. Its second page always needs a check.
Entry TranslateEngine::Impl::entry_for(const Site& site, const Block& target) {
  const bool flags_fit = !target.flags_live_in || site.flags_saved == target.flags_saved_in;
  if (!flags_fit) return site.flags_saved ? Entry::kSaved : Entry::kHost;
  const bool same_physical_page = (site.block->physical ^ target.physical) >> x86::kPageShift == 0;
  return entry_for(site, target.rip, same_physical_page && !target.crosses());
}

/// Offset of that way into the block, which is emitted now if need be; 0 if the cache is full.
uint32_t TranslateEngine::Impl::entry_of(Block& block, Entry entry) {
  if (const uint32_t there = block.entry(entry); there != 0) return there;
  if (!has_room(Builder::kEntryReserve)) {
    flush_wanted_ = true;
    return 0;
  }
  save_extended_state();  // the assembler's code uses vector registers as it likes
  supply_code();
  const uint32_t begin = emitter_.at();
  builder_.add_entry(block, entry);
  if (observer_ != nullptr) observer_->extended(block, cache_->executable(begin), emitter_.at() - begin);
  return block.entry(entry);
}

/// The host address of it, or 0.
uint64_t TranslateEngine::Impl::enter_by(Block& block, Entry entry) {
  const uint32_t offset = entry_of(block, entry);
  return offset == 0 ? 0 : cache_->executable(offset);
}

/// Lets the direct jump at the site go to `target` from now on, if the cache has room for a way there.
/// Returns the host address that it goes to, or 0.
uint64_t TranslateEngine::Impl::link(uint32_t site_index, Block& target) {
  if (sites_[site_index].linked != nullptr) return 0;
  const bool loop = sites_[site_index].loop;
  if (loop && &target != sites_[site_index].block)
    return 0;  // registers are where only the block expects them
  const uint32_t to = loop ? target.entry_loop : entry_of(target, entry_for(sites_[site_index], target));
  const bool lands_fast =
      sites_[site_index].is_landing && !target.flags_live_in && target.mode == sites_[site_index].block->mode;
  const uint32_t landing = lands_fast ? entry_of(target, Entry::kReturned) : 0;
  if (to == 0 || (lands_fast && landing == 0)) return 0;
  Site& site = sites_[site_index];
  cache_->patch_jump(site.patch, to);
  if (lands_fast) cache_->patch_jump(site.block->landing_patch, landing);
  site.linked = &target;
  site.next_link = target.incoming;
  target.incoming = site_index;
  ++statistics_.links;
  return cache_->executable(to);
}

/// A direct jump that is not linked, to a block that is there already: links it and returns the host address
/// to go on at, else 0.
uint64_t TranslateEngine::Impl::link_lightly(uint32_t site_index) {
  const Site& site = sites_[site_index];
  if (round_ != nullptr || site.unshared || site.loop || !site.block->valid) return 0;
  const auto mode = modes_.of(cpu_);  // another than the block's behind STAC and CLAC
  if (!mode || (mode->long_code() && !cpu::is_canonical(site.target))) return 0;
  const auto physical = mappings_.fetch_address(site.target, mode->user());
  if (!physical) return 0;
  Block* target = blocks_.find(site.target, *physical, *mode);
  if (target == nullptr || target->crosses()) return 0;
  remember_pages(*target);
  const uint64_t host = link(site_index, *target);
  if (host != 0) ++statistics_.jump_exits;
  return host;
}

/// The head of a block does not know that its page is still mapped: if it is, it does from now on. 0 if it is
/// not, or if the block is the target of a jump that may not be fetched.
uint64_t TranslateEngine::Impl::confirm_page(const Site& site) {
  const Block& block = *site.block;
  if (!block.valid) return 0;
  const auto physical = mappings_.fetch_address(block.rip, block.mode.user());
  if (!physical || *physical != block.physical) return 0;
  if (block.crosses() && second_page(block.rip, block.mode) != block.second_page) return 0;
  ++statistics_.page_checks;
  remember_pages(block);
  return cache_->executable(site.resume);
}

/// Fills the jump cache if the block that an indirect jump goes to is there already: the host address to try
/// again at, else 0.
uint64_t TranslateEngine::Impl::find_target(const Site& site) {
  if (round_ != nullptr) return 0;
  const uint64_t rip = frame_.address;
  const Mode mode = site.block->mode;
  if (mode.long_code() && !cpu::is_canonical(rip)) return 0;
  const auto physical = mappings_.fetch_address(rip, mode.user());
  if (!physical) return 0;
  Block* block = blocks_.find(rip, *physical, mode);
  if (block == nullptr || block->crosses() || !remember_target(*block)) return 0;
  ++statistics_.indirect_misses;
  remember_pages(*block);
  return cache_->executable(site.resume);
}

/// The jump cache knows it from now on, if the cache has room for a way there.
bool TranslateEngine::Impl::remember_target(Block& block) {
  const uint64_t host = enter_by(block, Entry::kSaved);
  if (host == 0) return false;
  frame_.jump_cache[Frame::jump_slot(block.rip)] = {block.rip, host, block.mode.value()};
  return true;
}

/// Where the linear page behind that of `rip` is, if code may be fetched from it.
std::optional<memory::GuestPhysical> TranslateEngine::Impl::second_page(uint64_t rip, Mode mode) {
  const uint64_t next = (rip | x86::kPageMask) + 1;
  if (mode.long_code() ? next == 0 || !cpu::is_canonical(next) : next > 0xffffffff) return std::nullopt;
  return mappings_.fetch_address(next, mode.user());
}

/// The block's pages are mapped where it thinks: heads need not ask until mappings change.
void TranslateEngine::Impl::remember_pages(const Block& block) {
  mappings_.know(block.rip, block.mode.user(), block.page_id);
  if (block.crosses()) mappings_.know(block.second_rip(), block.mode.user(), block.second_page_id);
}

}  // namespace eidolon::engine
