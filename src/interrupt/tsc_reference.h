// The guest's time-stamp counter as the APIC timer sees it, and the frequency of the host's.
#pragma once

#include <cstdint>
#include <functional>

namespace eidolon::interrupt {

/// Ticks per second of the host's TSC: from CPUID where it is told, else measured once (about 20 ms)
/// against CLOCK_MONOTONIC.
[[nodiscard]] uint64_t host_tsc_hz();
[[nodiscard]] uint64_t host_tsc();

struct TscReference {
  std::function<uint64_t()> now = host_tsc;  ///< the guest's TSC: the host's plus the processor's offset
  uint64_t hz = 0;                           ///< 0: host_tsc_hz()
};

}  // namespace eidolon::interrupt
