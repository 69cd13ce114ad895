// What happens when generated code leaves.
//
// The exit handler is entered with the guest's x87 and vector state still in the host's registers, and this
// file is compiled not to touch them. The frequent exits (a virtual TLB miss that a page walk can answer, a
// jump whose target is known) go on from here; all others save that state first (leave_slowly).
#include "engine/events.h"
#include "engine/translate/impl.h"

namespace eidolon::engine {

using namespace translate;

uint64_t TranslateEngine::Impl::exit_handler(Frame* frame) {
  auto& engine = *static_cast<Impl*>(frame->engine);
  if (frame->host_fault_pc == 0) [[likely]] {
    const Site& site = engine.sites_[frame->site];
    if (site.kind == SiteKind::kMemory)
      if (const uint64_t host = engine.fill_tlb(site)) return host;
  }
  return engine.leave_slowly(engine.sites_[frame->site]);
}

/// Answers a miss of the virtual TLB if all it takes is a page walk: the host address to try again at, else
/// 0.
uint64_t TranslateEngine::Impl::fill_tlb(const Site& site) {
  const uint64_t linear = frame_.address;
  const bool crosses = (linear & x86::kPageMask) + site.size > x86::kPageSize;
  const Mode mode = site.block->mode;
  if (crosses || (mode.long_code() && !cpu::is_canonical(linear))) return 0;
  const auto access = site.write ? mmu::Access::kWrite : mmu::Access::kRead;
  const auto resolved = cpu_.mmu.resolve(cpu_.state.control, linear, access, mode.view());
  if (!resolved || resolved->host == nullptr) return 0;
  // The entry may still not match (a walk that found another processor's change): then the access is stepped.
  if (cpu_.mmu.tlb().lookup(linear, site.size, site.write, mode.view()) == nullptr) return 0;
  ++statistics_.tlb_fills;
  return cache_->executable(site.resume);
}

}  // namespace eidolon::engine
