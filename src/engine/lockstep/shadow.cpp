#include "engine/lockstep/shadow.h"

#include <fmt/format.h>

#include "base/try.h"
#include "engine/events.h"
#include "engine/lockstep/compare.h"

namespace eidolon::engine::lockstep {

namespace {
/// Instructions after which a processor that should have come to an address has gone astray.
constexpr unsigned kStrayLimit = 1000;
/// The same for rounds of one repeated string instruction.
constexpr unsigned kRepeatLimit = 1u << 24;
}  // namespace

Result<std::unique_ptr<Shadow>> Shadow::create(const cpu::Cpu& original, Tape& tape) {
  std::unique_ptr<memory::GuestMemory> memory = EIDOLON_TRY(clone(original.memory));
  return std::unique_ptr<Shadow>(new Shadow(original, std::move(memory), tape));
}

Shadow::Shadow(const cpu::Cpu& original, std::unique_ptr<memory::GuestMemory> memory, Tape& tape)
    : tape_(tape),
      memory_(std::move(memory)),
      around_(tape),
      cpu_({.memory = *memory_,
            .ports = around_.ports,
            .mmio = around_.mmio,
            .model = original.model,
            .interrupts = original.interrupts != nullptr ? &around_ : nullptr},
           original.index),
      step_(cpu_) {
  cpu_.state = original.state;
  cpu_.tsc_source = &around_;
}

std::optional<std::string> Shadow::follow(const translate::Round& round, uint64_t before,
                                          const cpu::State& after) {
  if (round.serviced) {
    // A frame that was pushed holds the flags that the translator had, which were exact where it matters.
    take_flags(before);
    service(after);
    if (round.stop) return std::nullopt;
  }
  if (round.ran_block) {
    if (!advance_to(round.left_at))
      return fmt::format("  translate came to {:#x}, step is at {:#x}\n", round.left_at, cpu_.state.rip);
    if (round.completed) {
      step_once();
    } else {
      const uint64_t differing = (cpu_.state.rflags ^ round.rflags_left) & round.flags_exact;
      if (differing != 0)
        return fmt::format("  flags at {:#x}: translate {:#x}, step {:#x}, of which {:#x} must agree\n",
                           round.left_at, round.rflags_left, cpu_.state.rflags, round.flags_exact);
      take_flags(round.rflags_left);  // the instruction may push them with a fault
    }
  }
  if (round.stepped) step_as(after);
  return std::nullopt;
}

/// Delivers what was delivered to the first processor: of interrupts and INIT the tape tells, of an NMI the
/// first one's state.
void Shadow::service(const cpu::State& after) {
  uint32_t events = 0;
  if (tape_.peek(Entry::Kind::kInit) != nullptr) events |= cpu::kEventInit;
  if (tape_.peek(Entry::Kind::kAcknowledge) != nullptr) events |= cpu::kEventInterrupt;
  if (events == 0 && after.nmi_blocked && !cpu_.state.nmi_blocked) events |= cpu::kEventNmi;
  if (events == 0) return;
  cpu_.events.raise(events);
  (void)service_events(cpu_);
  cpu_.events.take(~uint32_t{0});
}

bool Shadow::advance_to(uint64_t rip) {
  unsigned steps = 0;
  while (cpu_.state.rip != rip) {
    if (++steps > kStrayLimit || cpu_.state.activity != cpu::Activity::kRunning) return false;
    step_once();
  }
  return true;
}

/// Steps the instruction that the first processor stepped. Repeated string instructions stop where both have
/// done as many iterations: how far one goes at a time depends on what its virtual TLB knows.
void Shadow::step_as(const cpu::State& after) {
  const uint64_t begin = cpu_.state.rip;
  const bool partly = after.rip == begin && after.gpr[x86::kRcx] < cpu_.state.gpr[x86::kRcx];
  if (partly) return finish_part_of_string(after);
  step_once();
  for (unsigned i = 0; i < kRepeatLimit && after.rip != begin && cpu_.state.rip == begin; ++i) step_once();
}

/// Lets the instruction do just the difference of the counts.
void Shadow::finish_part_of_string(const cpu::State& after) {
  cpu::State& state = cpu_.state;
  const uint64_t begin = state.rip;
  const uint64_t resume_flag = state.rflags & x86::kFlagRf;
  state.gpr[x86::kRcx] -= after.gpr[x86::kRcx];
  for (unsigned i = 0; i < kRepeatLimit && state.rip == begin; ++i) step_once();
  if (state.rip - begin > 15) return;  // it faulted, which the first one did not
  state.rip = begin;
  state.gpr[x86::kRcx] += after.gpr[x86::kRcx];
  state.rflags |= resume_flag;
}

void Shadow::take_flags(uint64_t rflags) {
  cpu_.state.rflags = (cpu_.state.rflags & ~x86::kFlagsArithmetic) | (rflags & x86::kFlagsArithmetic);
}

void Shadow::step_once() {
  (void)step_.step();
  ++instructions_;
}

}  // namespace eidolon::engine::lockstep
