/* What a workload is, and where each family of them lives. The program is C, static, and the same file
 * runs in the guests and on the host. */
#pragma once

#include <stdint.h>

/* Does `count` operations and returns a checksum that depends on the arithmetic only, so that two
 * processors which disagree are found out. What is prepared before begin_timing() is not measured. */
struct workload {
  const char* name;
  uint64_t (*run)(uint64_t count);
  uint64_t count; /* operations at scale 1 */
};

extern const struct workload compute_workloads[]; /* each table ends with a null name */
extern const struct workload memory_workloads[];
extern const struct workload vector_workloads[];
extern const struct workload kernel_workloads[];

void begin_timing(void);
void end_timing(void);

/* Ends the program: the environment refused something that a workload needs. */
__attribute__((noreturn)) void give_up(const char* what);

/* The path of this program, for the workload that executes it, and of busybox. */
extern const char* self_path;

static inline uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}
