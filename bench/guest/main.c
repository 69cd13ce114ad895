/* The program that measures a guest, or the host: runs every workload and prints for each
 *     BENCH name ns_per_operation checksum
 * Usage: workloads DIRECTORY BUSYBOX [PERCENT]: a directory to write in, and how much of the work to do.
 * Each workload runs in a process of its own, so that one which crashes is one line and not the end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "applets.h"
#include "workload.h"

const char* self_path;

static struct timespec begin, end;
static const char* measured;

/* The line lets the harness stamp the start with the host's clock; tcdrain() keeps the serial port out of
 * what is measured (and fails, harmlessly, where the output is not a terminal). */
void begin_timing(void) {
  printf("BEGIN %s\n", measured);
  fflush(stdout);
  tcdrain(1);
  clock_gettime(CLOCK_MONOTONIC, &begin);
}
void end_timing(void) { clock_gettime(CLOCK_MONOTONIC, &end); }

void give_up(const char* what) {
  fprintf(stderr, "workloads: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void report(uint64_t count, uint64_t sum) {
  const double elapsed = (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
  printf("BENCH %s %.3f %016llx\n", measured, elapsed / (double)count, (unsigned long long)sum);
  fflush(stdout);
}

static void run_isolated(const char* name, void (*body)(const void*), const void* argument) {
  fflush(stdout);
  const pid_t child = fork();
  if (child < 0) give_up("fork");
  if (child == 0) {
    body(argument);
    exit(0);
  }
  int status;
  if (waitpid(child, &status, 0) != child) give_up("waitpid");
  if (status != 0) printf("BENCH %s failed status=%x\n", name, (unsigned)status);
}

static uint64_t percent = 100;

static void run_workload(const void* argument) {
  const struct workload* workload = argument;
  const uint64_t scaled = workload->count * percent / 100;
  const uint64_t count = scaled ? scaled : 1;
  measured = workload->name;
  const uint64_t sum = workload->run(count);
  report(count, sum);
}

static void run_all(const struct workload* workload) {
  for (; workload->name; ++workload) {
    if (strcmp(workload->name, "matrix_avx2") == 0 && !__builtin_cpu_supports("avx2")) continue;
    run_isolated(workload->name, run_workload, workload);
  }
}

static void applets_body(const void* busybox) { run_applets(busybox, &measured, report); }

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "nothing") == 0) return 0;
  if (argc < 3) {
    fprintf(stderr, "usage: workloads DIRECTORY BUSYBOX [PERCENT]\n");
    return 2;
  }
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0) give_up("/proc/self/exe");
  path[length] = 0;
  self_path = path;
  if (argc > 3) percent = strtoull(argv[3], 0, 10);
  if (chdir(argv[1]) != 0) give_up(argv[1]);

  run_all(compute_workloads);
  run_all(memory_workloads);
  run_all(vector_workloads);
  run_all(kernel_workloads);
  run_isolated("applets", applets_body, argv[2]);
  printf("BENCH-END\n");
  return 0;
}
