// A processor in a snapshot: everything that software could find out about it, whatever engine ran it, in an
// order and at offsets that are no host's. The x87 and vector state is kept component by component; of the
// time-stamp counter, what the guest would read is kept, for the host's own is another one after a restore.
//
// What is loaded may have been made to harm: it becomes the processor's state only if a processor could be in
// it (cpu/possible_state.h).
#pragma once

#include "base/result.h"
#include "base/state_stream.h"
#include "cpu/cpu.h"

namespace eidolon::cpu {

// The processor stands, and its extended state is in State::fpu. `host_tsc` is what the host's counter shows,
// or showed when the machine's clocks stopped.
void save_processor(StateWriter& to, const Cpu& cpu, uint64_t host_tsc);

/// Memory is loaded already. On failure the processor is as it was.
[[nodiscard]] Result<> load_processor(StateReader& from, Cpu& cpu, uint64_t host_tsc);

}  // namespace eidolon::cpu
