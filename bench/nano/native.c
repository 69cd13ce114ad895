/* What of the nanobenchmarks a process of the host can do itself. */
#include <stdio.h>

#include "timing.h"

void loop_callret(uint64_t count);

static void loop_rdtsc(uint64_t count) {
  for (; count != 0; --count) cycles_now();
}

static void report(const char* name, void (*run)(uint64_t)) {
  printf("NANO %s %.2f\n", name, (double)measure(run) / 100);
}

int main(void) {
  report("callret", loop_callret);
  report("rdtsc", loop_rdtsc);
}
