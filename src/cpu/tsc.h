// The guest's time-stamp counter (SDM volume 3, 17.17): the host's, plus an offset.
#pragma once

#include <x86intrin.h>

#include <cstdint>

#include "cpu/state.h"

namespace eidolon::cpu {

[[nodiscard]] inline uint64_t guest_tsc(const State& state) { return __rdtsc() + state.tsc_offset; }

}  // namespace eidolon::cpu
