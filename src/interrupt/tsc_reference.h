// The counter that the guest's time-stamp counter is an offset from, as the APIC timer reads it, and its
// frequency.
#pragma once

#include <cstdint>
#include <functional>

namespace eidolon::interrupt {

/// Ticks per second of the host's TSC: from CPUID where it is told, else measured once (about 20 ms)
/// against CLOCK_MONOTONIC.
[[nodiscard]] uint64_t host_tsc_hz();
[[nodiscard]] uint64_t host_tsc();

struct TscReference {
  std::function<uint64_t()> now = host_tsc;  ///< from any thread
  uint64_t hz = 0;                           ///< 0: host_tsc_hz()
};

}  // namespace eidolon::interrupt
