// Whether a processor could be in a state: the question for states that come from outside. The rules are
// those that instructions keep to, which engines rely on; SDM volume 3, 27.3.1 lists most of them for VM
// entry.
#pragma once

#include "cpu/cpuid_model.h"
#include "cpu/state.h"

namespace eidolon::cpu {

/// The name of a part that is impossible, for a sentence; null if all is well. tsc_offset may be anything.
[[nodiscard]] const char* impossible_part(const State& state, const CpuidModel& model);

}  // namespace eidolon::cpu
