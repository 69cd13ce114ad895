#include "interrupt/tsc_reference.h"

#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>

#include <algorithm>
#include <array>

namespace eidolon::interrupt {

namespace {

struct Sample {
  int64_t ns;
  uint64_t tsc;
  uint64_t width;  ///< TSC ticks that the reading took: its uncertainty
};

/// The tightest of a few paired readings, so that a preemption in between does not count.
Sample sample() {
  Sample best{0, 0, ~uint64_t{0}};
  for (int i = 0; i < 16; ++i) {
    timespec ts{};
    const uint64_t before = __rdtsc();
    clock_gettime(CLOCK_MONOTONIC, &ts);
    const uint64_t width = __rdtsc() - before;
    if (width < best.width)
      best = {int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec, before + width / 2, width};
  }
  return best;
}

/// SDM volume 3, 19.7.3: core crystal frequency times the ratio in leaf 0x15; 0 if not enumerated.
uint64_t enumerated_hz() {
  std::array<unsigned, 4> r{};
  if (__get_cpuid(0x15, &r[0], &r[1], &r[2], &r[3]) == 0 || r[0] == 0 || r[1] == 0 || r[2] == 0) return 0;
  return uint64_t{r[2]} * r[1] / r[0];
}

uint64_t measured_hz() {
  const Sample first = sample();
  const timespec pause{.tv_sec = 0, .tv_nsec = 20'000'000};
  nanosleep(&pause, nullptr);
  const Sample last = sample();
  const auto ns = static_cast<unsigned __int128>(std::max<int64_t>(last.ns - first.ns, 1));
  return static_cast<uint64_t>(static_cast<unsigned __int128>(last.tsc - first.tsc) * 1'000'000'000 / ns);
}

}  // namespace

uint64_t host_tsc() { return __rdtsc(); }

uint64_t host_tsc_hz() {
  static const uint64_t hz = [] {
    const uint64_t measured = measured_hz();
    const uint64_t told = enumerated_hz();
    // A hypervisor below us may scale the TSC and still pass the processor's leaf through: believe the
    // leaf only if the clock agrees to one in a thousand.
    const bool agree = told > 0 && std::max(told, measured) - std::min(told, measured) < measured / 1000;
    return std::max<uint64_t>(agree ? told : measured, 1'000'000);
  }();
  return hz;
}

}  // namespace eidolon::interrupt
