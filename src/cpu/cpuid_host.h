// What the host's own CPUID says, and how fast its time-stamp counter runs.
#pragma once

#include <cstdint>

#include "cpu/cpuid_model.h"

namespace eidolon::cpu {

/// Executes CPUID. Slow where the host is itself a guest: each one leaves to its hypervisor.
[[nodiscard]] CpuidResult host_cpuid(uint32_t leaf, uint32_t subleaf = 0);

/// XCR0 of the host, or 0 if it has not enabled XSAVE.
[[nodiscard]] uint64_t host_xcr0();

/// From leaf 0x15 if the host tells, else measured against the monotonic clock once per process.
[[nodiscard]] uint32_t host_tsc_khz();

}  // namespace eidolon::cpu
