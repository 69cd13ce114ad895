// What every engine does between two instructions when an event is pending or the processor does not run.
#pragma once

#include <optional>

#include "engine/engine.h"

namespace eidolon::engine {

/// Where a processor sleeps that is halted or waits for a SIPI.
enum class Sleep : uint8_t {
  kHere,
  kElsewhere,  ///< its engine sees to that, and to what ends it
};

/// Takes pending events: delivers NMI or an interrupt if the processor's state allows, does INIT and SIPI,
/// sleeps while it is halted. Returns a Stop if the engine must return, else nullopt: the processor may run
/// on.
[[nodiscard]] std::optional<Stop> service_events(cpu::Cpu& cpu, Sleep where = Sleep::kHere);

/// Takes those events that say what others have changed around the processor; interrupts, and all that would
/// change its state, wait.
void settle_changes(cpu::Cpu& cpu);

/// Whether service_events has anything to do.
[[nodiscard]] inline bool needs_service(const cpu::Cpu& cpu) {
  return cpu.events.pending() != 0 || cpu.state.activity != cpu::Activity::kRunning;
}

}  // namespace eidolon::engine
