/* How often a loop has to run so that it takes long enough, and the shortest of a few runs: the same for the
 * guest program and for the host's. `run` does `count` operations, a multiple of 16. */
#pragma once
#include <stdint.h>

enum { kRuns = 5 };
static const uint64_t kCycles = 30000000; /* of a run: some ten milliseconds */

static inline uint64_t cycles_now(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
  return low | (uint64_t)high << 32;
}

static uint64_t cycles_of(void (*run)(uint64_t), uint64_t count) {
  uint64_t begin = cycles_now();
  run(count);
  return cycles_now() - begin;
}

/* Hundredths of a cycle an operation. The first runs, until one is long enough, warm up. */
static uint64_t measure(void (*run)(uint64_t)) {
  uint64_t count = 256;
  while (count < (uint64_t)1 << 36 && cycles_of(run, count) < kCycles) count *= 2;
  uint64_t best = ~(uint64_t)0;
  for (int i = 0; i < kRuns; ++i) {
    uint64_t cycles = cycles_of(run, count);
    if (cycles < best) best = cycles;
  }
  return best * 100 / count;
}
