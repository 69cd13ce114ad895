// Priorities as SDM volume 3, 6.9; INIT and SIPI as 8.4 and table 9-1.
#include "engine/events.h"

#include <utility>

#include "cpu/event.h"

namespace eidolon::engine {

namespace {

using cpu::Activity;
using cpu::State;

/// INIT leaves the x87, SSE and AVX state, the MTRRs, the TSC and CR0.CD and NW as they are.
void do_init(cpu::Cpu& cpu) {
  State& state = cpu.state;
  const State before = state;
  state.reset();
  constexpr uint64_t kKept = x86::kCr0Cd | x86::kCr0Nw;
  state.control.cr0 = (state.control.cr0 & ~kKept) | (before.control.cr0 & kKept);
  state.fpu = before.fpu;
  state.xcr0 = before.xcr0;
  state.pat = before.pat;
  state.tsc_offset = before.tsc_offset;
  state.tsc_adjust = before.tsc_adjust;
  state.tsc_aux = before.tsc_aux;
  state.misc_enable = before.misc_enable;
  state.mtrr_def_type = before.mtrr_def_type;
  state.mtrr_variable = before.mtrr_variable;
  state.mtrr_fixed = before.mtrr_fixed;
  state.mcg_status = before.mcg_status;
  cpu.mmu.invalidate_all();
  if (cpu.interrupts != nullptr) cpu.interrupts->init();
  if (cpu.index != 0) state.activity = Activity::kWaitForSipi;
}

void do_sipi(cpu::Cpu& cpu) {
  const uint8_t vector = cpu.events.sipi_vector.load(std::memory_order_acquire);
  x86::Segment cs = x86::kCs;
  cpu.state.segment[cs].selector = static_cast<uint16_t>(vector << 8);
  cpu.state.segment[cs].base = uint64_t{vector} << 12;
  cpu.state.rip = 0;
  cpu.state.activity = Activity::kRunning;
}

bool in_shadow(const State& state) { return state.interrupt_shadow == state.rip; }

/// The processor takes interrupts: it runs or is halted, and is not behind an instruction that shuts them
/// out.
bool can_deliver(const State& state) {
  if (state.activity == Activity::kHalted) return true;
  return state.activity == Activity::kRunning && !in_shadow(state);
}

void leave_shadow(State& state) {
  state.interrupt_shadow = State::kNoShadow;
  state.shadow_blocks_debug = false;
}

/// False on shutdown.
bool deliver_nmi(cpu::Cpu& cpu) {
  cpu.events.take(cpu::kEventNmi);
  leave_shadow(cpu.state);
  cpu.state.activity = Activity::kRunning;
  cpu.state.nmi_blocked = true;
  return cpu::deliver_interrupt(cpu, x86::kNmi);
}

/// False on shutdown. The event bit stays set while the source has more.
bool deliver_external(cpu::Cpu& cpu) {
  cpu.events.take(cpu::kEventInterrupt);  // before asking: who adds one later sets it again
  if (cpu.interrupts == nullptr || !cpu.interrupts->interrupt_pending()) return true;
  const auto vector = cpu.interrupts->acknowledge();
  cpu.events.raise(cpu::kEventInterrupt);
  if (!vector) return true;
  leave_shadow(cpu.state);
  cpu.state.activity = Activity::kRunning;
  return cpu::deliver_interrupt(cpu, *vector);
}

void sleep(cpu::Cpu& cpu) {
  const bool tells = cpu.paravirt != nullptr && cpu.state.activity == Activity::kHalted;
  if (tells) cpu.paravirt->sleeps();
  cpu.turn.aside([&cpu] { cpu.events.wait(); });
  if (tells) cpu.paravirt->wakes();
}

}  // namespace

void settle_changes(cpu::Cpu& cpu) {
  const uint32_t pending = cpu.events.pending();
  if (pending & cpu::kEventRecheck) cpu.events.take(cpu::kEventRecheck);
  if (pending & cpu::kEventForeignWrite) {
    cpu.events.take(cpu::kEventForeignWrite);
    cpu.memory.settle_foreign_writes(cpu.index);
  }
  if (pending & cpu::kEventMapChanged) {
    cpu.events.take(cpu::kEventMapChanged);
    cpu.mmu.invalidate_all();
  }
}

std::optional<Stop> service_events(cpu::Cpu& cpu, Sleep where) {
  State& state = cpu.state;
  uint32_t deferred = 0;  // what cannot be taken now must not keep the processor from sleeping
  const auto finish = [&](std::optional<Stop> result) {
    if (deferred != 0) cpu.events.raise(deferred);
    return result;
  };
  while (true) {
    const uint32_t pending = cpu.events.pending();
    if (pending & cpu::kEventStop) {
      cpu.events.take(cpu::kEventStop);
      return finish(std::exchange(cpu.at_breakpoint, false) ? Stop::kBreakpoint : Stop::kRequested);
    }
    settle_changes(cpu);
    if (pending & cpu::kEventKick) {
      cpu.events.take(cpu::kEventKick);
      cpu.kicked = true;
    }
    if (pending & cpu::kEventTurn) {
      cpu.events.take(cpu::kEventTurn);
      cpu.turn.yield();
    }
    if (pending & cpu::kEventInit) {
      cpu.events.take(cpu::kEventInit);
      do_init(cpu);
    }
    if (state.activity == Activity::kShutdown) return finish(Stop::kShutdown);
    if (pending & cpu::kEventSipi) {
      cpu.events.take(cpu::kEventSipi);
      if (state.activity == Activity::kWaitForSipi) do_sipi(cpu);
    }
    if ((pending & cpu::kEventNmi) != 0 && can_deliver(state) && !state.nmi_blocked) {
      if (!deliver_nmi(cpu)) return finish(Stop::kShutdown);
      return finish(std::nullopt);
    }
    const bool interruptible = can_deliver(state) && (state.rflags & x86::kFlagIf) != 0;
    if ((pending & cpu::kEventInterrupt) != 0 && interruptible) {
      if (!deliver_external(cpu)) return finish(Stop::kShutdown);
    }
    if (state.activity == Activity::kHalted && cpu.kicked) {
      cpu.kicked = false;
      state.activity = Activity::kRunning;
    }
    if (state.activity == Activity::kRunning || where == Sleep::kElsewhere) return finish(std::nullopt);
    // Asleep. What cannot wake this processor now is set aside, or it would be no sleep.
    if (state.activity == Activity::kWaitForSipi) cpu.events.take(cpu::kEventNmi);  // nobody is there for it
    uint32_t useless = state.nmi_blocked ? uint32_t{cpu::kEventNmi} : 0;
    if (!interruptible) useless |= cpu::kEventInterrupt;
    deferred |= cpu.events.take(useless);
    sleep(cpu);
  }
}

}  // namespace eidolon::engine
