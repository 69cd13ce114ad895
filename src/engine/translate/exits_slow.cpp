// The exits that save the guest's x87 and vector state and then may do anything.
#include "engine/events.h"
#include "engine/translate/extended_state.h"
#include "engine/translate/impl.h"

#include <algorithm>

namespace eidolon::engine {

using namespace translate;

uint64_t TranslateEngine::Impl::leave_slowly(const Site& site) {
  save_extended_state();
  uint64_t host = 0;
  if (frame_.host_fault_pc != 0) {
    host = on_host_fault();
  } else {
    recover_at(site);
    // A block that jumps to itself comes back to where it was entered, but not to the same execution.
    if (site.kind == SiteKind::kJump && !site.unshared) cpu_.state.rflags &= ~x86::kFlagRf;
    if (round_ != nullptr) return end_round(site);
    switch (site.kind) {
      case SiteKind::kJump:
        ++statistics_.jump_exits;
        host = on_jump(frame_.site);
        break;
      case SiteKind::kIndirect:
        ++statistics_.indirect_misses;
        host = step_and_go_on(true);
        break;
      case SiteKind::kMemory:
        if (site.hoisted || asks_too_much(site)) {
          const Block* unshared = find_block(true);
          // From run(), the block that shares checks might be entered again, for ever.
          host =
              unshared == nullptr ? step_and_go_on(false) : cache_->executable(unshared->entry(Entry::kBody));
          break;
        }
        ++statistics_.slow_accesses;
        host = step_and_go_on(false);
        break;
      case SiteKind::kStep:
      case SiteKind::kString:
        ++statistics_.stepped[site.mnemonic];
        if (site.mnemonic == ZYDIS_MNEMONIC_PAUSE) give_way();
        host = step_and_go_on(false);
        break;
      case SiteKind::kPage:
        host = on_page(site);
        break;
      case SiteKind::kEvent:
        ++statistics_.events;
        break;  // back to run()
      case SiteKind::kExtended:
        break;  // never comes here
    }
  }
  if (host != 0) load_registers();
  return host;
}

/// A read whose check is for the writes after it as well, of a page that may be read only.
bool TranslateEngine::Impl::asks_too_much(const Site& site) const {
  return !site.write && site.write_tag &&
         cpu_.mmu.tlb().lookup(frame_.address, 1, false, cpu_.data_view()) != nullptr;
}

/// A direct jump that is not linked: finds its block and links it. The jump itself has been made.
uint64_t TranslateEngine::Impl::on_jump(uint32_t site_index) {
  const uint64_t flushes = statistics_.flushes;
  const Site& site = sites_[site_index];
  const Entry entry = site.is_landing ? Entry::kReturned : entry_for(site, site.target, true);
  Block* target = find_block(site.unshared, entry);
  if (target == nullptr) return site.unshared ? step_and_go_on(false) : 0;
  if (statistics_.flushes == flushes && sites_[site_index].block->valid) link(site_index, *target);
  return cache_->executable(target->entry(Entry::kBody));
}

/// The head of a block does not know its page. If the page is still where it was, it does now.
uint64_t TranslateEngine::Impl::on_page(const Site&) {
  ++statistics_.page_checks;
  Block* block = find_block();
  if (block == nullptr) return 0;
  // Another address space may have other code there: what led to the block that gave up is not to do so
  // again.
  const JumpEntry& entry = frame_.jump_cache[Frame::jump_slot(block->rip)];
  if (entry.rip == block->rip && entry.mode == block->mode.value()) remember_target(*block);
  return needs_service(cpu_) ? 0 : cache_->executable(block->entry(Entry::kBody));
}

/// From State::rip: the block's body, translated now if need be, or 0.
uint64_t TranslateEngine::Impl::go_on() {
  const Block* block = find_block();
  return block == nullptr ? 0 : cache_->executable(block->entry(Entry::kBody));
}

/// The guest has been spinning. Its processors may be more than the host's, and whoever it waits for not
/// running.
void TranslateEngine::Impl::give_way() {
  frame_.pauses_left = Frame::kPauses;
  ++statistics_.gave_way;
  const InPart in(part_, Part::kAsleep);
  cpu_.turn.give_way();
}

/// Steps the instruction at State::rip with all that belongs to it, and goes on with the next block.
uint64_t TranslateEngine::Impl::step_and_go_on(bool is_jump) {
  ++statistics_.steps;
  {
    const InPart in(part_, Part::kStepping);
    step_.step();
  }
  recall_deferred();
  if (needs_service(cpu_)) return 0;
  Block* block = find_block(false, is_jump ? Entry::kChecked : Entry::kBody);
  if (block == nullptr) return 0;
  if (is_jump) remember_target(*block);
  return cache_->executable(block->entry(Entry::kBody));
}

/// The host processor raised an exception in generated code: the guest's, at a known instruction. Stepping
/// that instruction raises it again, where it becomes an architectural one.
uint64_t TranslateEngine::Impl::on_host_fault() {
  ++statistics_.host_faults;
  const uint32_t at = cache_->offset_of(frame_.host_fault_pc);
  frame_.host_fault_pc = 0;
  // Fault points lie in the order of their code.
  const auto point = std::ranges::upper_bound(faults_, at, {}, &FaultPoint::host_end);
  const Block& block = *point->block;
  const uint64_t rip = block.rip + point->guest_offset;
  recover(block.mode.long_code() ? rip : rip & 0xffffffff, point->in_slot, point->flags_saved);
  if (round_ != nullptr) return end_round(*point);
  return step_and_go_on(false);
}

/// Runs in the signal handler: leaves through the exit trampoline, as a site would.
bool TranslateEngine::Impl::host_fault(void* cookie, HostFault& fault) {
  auto& engine = *static_cast<Impl*>(cookie);
  if (!engine.in_generated_code_) return false;
  auto* registers = fault.context->uc_mcontext.gregs;
  const auto pc = static_cast<uint64_t>(registers[REG_RIP]);
  const uint32_t at = engine.cache_->offset_of(pc);
  // A page fault would be guest memory that the host cannot supply; a fault in a trampoline would be our bug.
  if (fault.vector == x86::kPageFault || at < engine.trampolines_.end) return false;
  engine.frame_.host_fault_pc = pc;
  // SAFETY: the exit trampoline expects just this: the guest's registers, and the GS base that never changed.
  registers[REG_RIP] = static_cast<greg_t>(engine.cache_->executable(engine.trampolines_.exit));
  registers[REG_EFL] &= ~static_cast<greg_t>(x86::kFlagTf | x86::kFlagRf);
  return true;
}

}  // namespace eidolon::engine
