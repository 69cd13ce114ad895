#include "cpu/cpuid_host.h"

#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>

#include "x86/cpuid.h"

namespace eidolon::cpu {

namespace {

constexpr uint64_t kNanosecondsPerMillisecond = 1'000'000;

[[nodiscard]] uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

/// Readings of both clocks that were taken together, and how far apart they may be.
struct Instant {
  uint64_t ns = 0;
  uint64_t tsc = 0;
  uint64_t gap = ~uint64_t{0};  ///< in ticks
};

/// The tightest of several tries.
[[nodiscard]] Instant read_both() {
  Instant best;
  for (int i = 0; i < 16; ++i) {
    const uint64_t before = __rdtsc();
    const uint64_t ns = monotonic_ns();
    const uint64_t gap = __rdtsc() - before;
    if (gap < best.gap) best = {ns, before + gap / 2, gap};
  }
  return best;
}

/// For as long as it takes until the readings' gaps can hardly matter: two milliseconds, unless something
/// keeps coming between them.
[[nodiscard]] uint32_t measured_tsc_khz() {
  constexpr uint64_t kParts = 50'000;  ///< an error of 20 in a million is no more than a crystal's
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 2 * kNanosecondsPerMillisecond};
  constexpr int kMostPauses = 10;
  const Instant start = read_both();
  Instant end;
  for (int i = 0; i < kMostPauses; ++i) {
    nanosleep(&kPause, nullptr);
    end = read_both();
    if ((start.gap + end.gap) / 2 <= (end.tsc - start.tsc) / kParts) break;
  }
  const unsigned __int128 ticks = end.tsc - start.tsc;
  const uint64_t elapsed = end.ns > start.ns ? end.ns - start.ns : 1;
  return static_cast<uint32_t>((ticks * kNanosecondsPerMillisecond + elapsed / 2) / elapsed);
}

/// Ratio and crystal of leaf 0x15; 0 if the host leaves one out.
[[nodiscard]] uint32_t told_tsc_khz() {
  if (host_cpuid(x86::cpuid::kBasic).eax < x86::cpuid::kTscFrequency) return 0;
  const CpuidResult leaf = host_cpuid(x86::cpuid::kTscFrequency);
  if (leaf.eax == 0) return 0;
  return static_cast<uint32_t>(uint64_t{leaf.ecx} * leaf.ebx / leaf.eax / 1000);
}

}  // namespace

CpuidResult host_cpuid(uint32_t leaf, uint32_t subleaf) {
  CpuidResult result;
  __cpuid_count(leaf, subleaf, result.eax, result.ebx, result.ecx, result.edx);
  return result;
}

uint64_t host_xcr0() {
  if ((host_cpuid(x86::cpuid::kVersion).ecx & x86::cpuid::kOsXsave) == 0) return 0;
  uint32_t low = 0;
  uint32_t high = 0;
  // SAFETY: OSXSAVE says that XGETBV is enabled.
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

uint32_t host_tsc_khz() {
  static const uint32_t khz = [] {
    const uint32_t told = told_tsc_khz();
    return told != 0 ? told : measured_tsc_khz();
  }();
  return khz;
}

}  // namespace eidolon::cpu
