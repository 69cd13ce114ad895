// Exits that call the processor's own routines (cpu/) while the guest's x87 and vector state may still be in
// the host's registers: sensitive instructions and page faults. This file and those routines are compiled not
// to touch that state; whoever among them is about to call anything else asks for its release first
// (cpu::ExtendedStateHolder).
#include "cpu/debug.h"
#include "cpu/event.h"
#include "cpu/sensitive.h"
#include "engine/events.h"
#include "engine/translate/impl.h"

namespace eidolon::engine {

using namespace translate;

/// From the registers that generated code left with to the guest's state.
void TranslateEngine::Impl::recover(uint64_t rip, uint16_t in_slot, bool flags_saved) {
  cpu::State& state = cpu_.state;
  for (unsigned reg = 0; reg < 16; ++reg)
    if (!(in_slot & register_bit(reg))) state.gpr[reg] = frame_.host_gpr[reg];
  recover_flags(rip, flags_saved ? frame_.saved_flags : frame_.flags);
}

/// `flags` as LAHF and SETO have them.
void TranslateEngine::Impl::recover_flags(uint64_t rip, uint64_t flags) {
  cpu::State& state = cpu_.state;
  state.rflags = (state.rflags & ~x86::kFlagsArithmetic) | flags_to_rflags(flags);
  // RF lasts for one instruction, and one has completed since.
  if (rip != entered_rip_) state.rflags &= ~x86::kFlagRf;
  state.rip = rip;
}

void TranslateEngine::Impl::load_registers() {
  frame_.host_gpr = cpu_.state.gpr;
  frame_.flags = flags_from_rflags(cpu_.state.rflags);
  frame_.saved_flags = static_cast<uint32_t>(frame_.flags);
  entered_rip_ = cpu_.state.rip;
}

/// The guest's state at a site.
void TranslateEngine::Impl::recover_at(const Site& site) {
  const Block& block = *site.block;
  const bool at_instruction = site.kind != SiteKind::kJump;
  const uint64_t rip = at_instruction ? block.rip + site.guest_offset : site.target;
  recover(block.mode.long_code() ? rip : rip & 0xffffffff, site.in_slot, site.flags_saved);
  if (site.kind != SiteKind::kIndirect || site.target == 0) return;
  uint64_t& rsp = cpu_.state.gpr[x86::kRsp];
  rsp = block.mode.long_code() ? rsp - site.target : (rsp - site.target) & 0xffffffff;
}

/// From a site where everything is settled: a sensitive instruction in 64-bit code (trampolines.h).
uint64_t TranslateEngine::Impl::settled_exit_handler(Frame* frame) {
  auto& engine = *static_cast<Impl*>(frame->engine);
  const InPart in(engine.part_, Part::kExits);
  const Site& site = engine.sites_[frame->site];
  uint64_t host = 0;
  if (engine.round_ == nullptr) [[likely]] {
    host = engine.execute_settled(site);
  } else {
    frame->host_gpr = engine.cpu_.state.gpr;
    host = engine.leave_slowly(site);
  }
  return host;
}

uint64_t TranslateEngine::Impl::execute_settled(const Site& site) {
  recover_flags(site.block->rip + site.guest_offset, frame_.saved_flags);
  ++statistics_.sensitive;
  ++statistics_.stepped[site.mnemonic];
  execute_sensitive(pool_.at(site.sensitive));
  return go_on_settled();
}

/// As go_on_lightly, if possible without more than the flags being put where generated code expects them.
uint64_t TranslateEngine::Impl::go_on_settled() {
  recall_deferred();
  const uint64_t known = needs_service(cpu_) ? 0 : known_block();
  if (known == 0) {
    frame_.resume = go_on_lightly();
    return frame_.resume == 0 ? 0 : cache_->executable(trampolines_.load);
  }
  frame_.saved_flags = static_cast<uint32_t>(flags_from_rflags(cpu_.state.rflags));
  entered_rip_ = cpu_.state.rip;
  return known;
}

uint64_t TranslateEngine::Impl::execute_lightly(const Site& site) {
  recover_at(site);
  ++statistics_.sensitive;
  ++statistics_.stepped[site.mnemonic];
  execute_sensitive(pool_.at(site.sensitive));
  return go_on_lightly();
}

/// The access of the site raises `fault`.
uint64_t TranslateEngine::Impl::raise_lightly(const Site& site, const mmu::PageFault& fault) {
  recover_at(site);
  ++statistics_.page_faults;
  uint64_t address = frame_.address + site.access_offset;
  if (!site.block->mode.long_code()) address &= 0xffffffff;
  const cpu::Fault raised{.vector = x86::kPageFault, .error = fault.error, .address = address};
  deliver(raised, cpu_.state.rip);
  return go_on_lightly();
}

uint64_t TranslateEngine::Impl::raise_divide_error(const Site& site) {
  recover_at(site);
  ++statistics_.divide_errors;
  deliver({.vector = x86::kDivideError}, cpu_.state.rip);
  return go_on_lightly();
}

/// What StepEngine::step() does around an instruction, where neither TF nor a breakpoint is set (Mode).
void TranslateEngine::Impl::execute_sensitive(const isa::Instruction& instruction) {
  cpu::State& state = cpu_.state;
  const uint64_t begin = state.rip;
  const bool resumed = (state.rflags & x86::kFlagRf) != 0;
  const bool in_shadow = state.interrupt_shadow == begin;
  const auto leaf = static_cast<uint32_t>(state.gpr[x86::kRax]);
  const auto subleaf = static_cast<uint32_t>(state.gpr[x86::kRcx]);
  const bool moves = moves_extended_state(instruction);
  if (!moves || !execute_extended(instruction)) {
    if (moves) save_extended_state();  // its routine works on State::fpu
    if (const auto done = cpu::execute_sensitive(cpu_, instruction); !done)
      return deliver(done.error(), begin);
  }
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_CPUID) remember_cpuid(leaf, subleaf);
  if (in_shadow && state.interrupt_shadow == begin) {
    state.interrupt_shadow = cpu::State::kNoShadow;
    state.shadow_blocks_debug = false;
  }
  const bool returns = instruction.mnemonic() == ZYDIS_MNEMONIC_IRET ||
                       instruction.mnemonic() == ZYDIS_MNEMONIC_IRETD ||
                       instruction.mnemonic() == ZYDIS_MNEMONIC_IRETQ;
  if (resumed && !returns && state.rip != begin) state.rflags &= ~x86::kFlagRf;
  // The T bit of a new task.
  if (state.pending_debug != 0)
    if (const auto due = cpu::debug_trap(state, false)) (void)cpu::deliver_fault(cpu_, *due);
}

/// The answer that CPUID has just given, for generated code to give.
void TranslateEngine::Impl::remember_cpuid(uint32_t leaf, uint32_t subleaf) {
  const cpu::State& state = cpu_.state;
  const auto answer = [&](unsigned reg) { return static_cast<uint32_t>(state.gpr[reg]); };
  frame_.cpuid[Frame::cpuid_slot(leaf, subleaf)] = {
      leaf,
      subleaf,
      static_cast<uint32_t>(state.control.cr4),
      static_cast<uint32_t>(state.xcr0),
      {answer(x86::kRax), answer(x86::kRbx), answer(x86::kRcx), answer(x86::kRdx)}};
}

/// A shutdown shows in State::activity.
void TranslateEngine::Impl::deliver(const cpu::Fault& fault, uint64_t begin) {
  cpu::State& state = cpu_.state;
  if (state.interrupt_shadow == begin) {
    state.interrupt_shadow = cpu::State::kNoShadow;
    state.shadow_blocks_debug = false;
  }
  (void)cpu::deliver_fault(cpu_, fault);
}

/// From State::rip: the host address to go on at, or 0 if run() has to see to something first.
uint64_t TranslateEngine::Impl::go_on_lightly() {
  recall_deferred();
  uint64_t host = 0;
  if (!needs_service(cpu_)) {
    host = known_block();
    if (host == 0) {
      cpu_.release_extended_state();
      host = go_on();
    }
  }
  if (host == 0) {
    cpu_.release_extended_state();
    return 0;
  }
  load_registers();
  return host;
}

/// The entry of the block at State::rip for whoever has put the flags aside, if it is translated, else 0.
uint64_t TranslateEngine::Impl::known_block() {
  const auto mode = modes_.of(cpu_);
  const uint64_t rip = cpu_.state.rip;
  if (!mode || (mode->long_code() ? !cpu::is_canonical(rip) : rip > 0xffffffff)) return 0;
  const JumpEntry& predicted = frame_.jump_cache[Frame::jump_slot(rip)];
  if (predicted.rip == rip && predicted.mode == mode->value()) return predicted.code;
  const auto physical = mappings_.fetch_address(rip, mode->user());
  if (!physical) return 0;
  Block* block = blocks_.find(rip, *physical, *mode);
  if (block == nullptr) return 0;
  if (block->crosses()) return enter_by(*block, Entry::kSaved);
  return remember_target(*block) ? predicted.code : 0;
}

/// Gives them back once they may be delivered, or the processor is about to sleep. Only stepped instructions
/// open what was closed, so this is asked after each of them.
void TranslateEngine::Impl::recall_deferred() {
  if (frame_.deferred_events == 0) [[likely]]
    return;
  const bool running = cpu_.state.activity == cpu::Activity::kRunning;
  uint32_t open = frame_.deferred_events;
  if (running && (cpu_.state.rflags & x86::kFlagIf) == 0) open &= ~uint32_t{cpu::kEventInterrupt};
  if (running && cpu_.state.nmi_blocked) open &= ~uint32_t{cpu::kEventNmi};
  if (open == 0) return;
  cpu_.release_extended_state();
  frame_.deferred_events &= ~open;
  cpu_.events.raise(open);
}

}  // namespace eidolon::engine
