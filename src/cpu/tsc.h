// The guest's time-stamp counter (SDM volume 3, 17.17): the host's, plus an offset.
#pragma once

#include <cstdint>

#include "cpu/cpu.h"

namespace eidolon::cpu {

/// Stands in for the host's counter where every reading has to be known (lockstep).
class TscSource {
 public:
  virtual ~TscSource() = default;
  [[nodiscard]] virtual uint64_t host_tsc() = 0;
};

[[nodiscard]] inline uint64_t guest_tsc(const State& state) {
  return __builtin_ia32_rdtsc() + state.tsc_offset;
}

/// What the guest's own instructions read.
[[nodiscard]] inline uint64_t guest_tsc(const Cpu& cpu) {
  if (cpu.tsc_source != nullptr) [[unlikely]]
    return cpu.tsc_source->host_tsc() + cpu.state.tsc_offset;
  return guest_tsc(cpu.state);
}

}  // namespace eidolon::cpu
