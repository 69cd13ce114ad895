/* The program that measures a guest, or the host: runs every workload and prints for each
 *     BENCH name ns_per_operation checksum
 * Usage: workloads DIRECTORY BUSYBOX [PERCENT [COPIES]]: a directory to write in, how much of the work to do,
 * and how many processes do it at the same time. With more than one, an operation's time is that from the
 * first one's start to the last one's end, divided among the operations of all, and the applets are left out.
 * Each workload runs in a process of its own, so that one which crashes is one line and not the end. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "applets.h"
#include "workload.h"

const char* self_path;

static struct timespec begin, end;
static const char* measured;

/* What the copies of a workload share. */
static struct {
  unsigned ready;
  struct {
    struct timespec begin, end;
    uint64_t sum;
  } copy[64];
} * together;
static unsigned copies = 1;

static double nanoseconds(struct timespec t) { return (double)t.tv_sec * 1e9 + (double)t.tv_nsec; }

/* No copy starts before all are prepared. */
static void wait_for_copies(void) {
  __atomic_add_fetch(&together->ready, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&together->ready, __ATOMIC_SEQ_CST) % copies != 0) sched_yield();
}

/* The line lets the harness stamp the start with the host's clock; tcdrain() keeps the serial port out of
 * what is measured (and fails, harmlessly, where the output is not a terminal). */
void begin_timing(void) {
  if (copies > 1) {
    wait_for_copies();
    clock_gettime(CLOCK_MONOTONIC, &begin);
    return;
  }
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

static void report(const char* name, double elapsed, uint64_t count, uint64_t sum) {
  printf("BENCH %s %.3f %016llx\n", name, elapsed / (double)count, (unsigned long long)sum);
  fflush(stdout);
}

/* Of what begin_timing() and end_timing() measured. */
static void report_measured(uint64_t count, uint64_t sum) {
  report(measured, nanoseconds(end) - nanoseconds(begin), count, sum);
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

static uint64_t scaled(const struct workload* workload) {
  const uint64_t count = workload->count * percent / 100;
  return count ? count : 1;
}

static void run_workload(const void* argument) {
  const struct workload* workload = argument;
  const uint64_t count = scaled(workload);
  measured = workload->name;
  const uint64_t sum = workload->run(count);
  report_measured(count, sum);
}

/* One of the copies, each on a processor of its own if there are enough: what the guest's scheduler makes of
 * them is not what is measured. */
static void run_copy(const struct workload* workload, unsigned copy) {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  CPU_SET(copy % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &mine);
  (void)sched_setaffinity(0, sizeof mine, &mine);
  char name[16];
  snprintf(name, sizeof name, "copy%u", copy);
  if ((mkdir(name, 0700) != 0 && errno != EEXIST) || chdir(name) != 0) give_up(name);
  together->copy[copy].sum = workload->run(scaled(workload));
  together->copy[copy].begin = begin;
  together->copy[copy].end = end;
  exit(0);
}

static void run_copies(const struct workload* workload) {
  memset(together, 0, sizeof *together);
  fflush(stdout);
  for (unsigned copy = 0; copy < copies; ++copy) {
    const pid_t child = fork();
    if (child < 0) give_up("fork");
    if (child == 0) run_copy(workload, copy);
  }
  int failed = 0;
  for (unsigned copy = 0; copy < copies; ++copy) {
    int status;
    if (wait(&status) < 0) give_up("wait");
    if (status != 0) failed = status;
  }
  double first = nanoseconds(together->copy[0].begin), last = 0;
  for (unsigned copy = 0; copy < copies; ++copy) {
    const double began = nanoseconds(together->copy[copy].begin),
                 ended = nanoseconds(together->copy[copy].end);
    if (began < first) first = began;
    if (ended > last) last = ended;
    if (together->copy[copy].sum != together->copy[0].sum) failed = 0x1000;
  }
  if (failed != 0) {
    printf("BENCH %s failed status=%x\n", workload->name, (unsigned)failed);
    return;
  }
  report(workload->name, last - first, scaled(workload) * copies, together->copy[0].sum);
}

static void run_all(const struct workload* workload) {
  for (; workload->name; ++workload) {
    if (strcmp(workload->name, "matrix_avx2") == 0 && !__builtin_cpu_supports("avx2")) continue;
    if (copies > 1)
      run_copies(workload);
    else
      run_isolated(workload->name, run_workload, workload);
  }
}

static void applets_body(const void* busybox) { run_applets(busybox, &measured, report_measured); }

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "nothing") == 0) return 0;
  if (argc < 3) {
    fprintf(stderr, "usage: workloads DIRECTORY BUSYBOX [PERCENT [COPIES]]\n");
    return 2;
  }
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0) give_up("/proc/self/exe");
  path[length] = 0;
  self_path = path;
  if (argc > 3) percent = strtoull(argv[3], 0, 10);
  if (argc > 4) copies = (unsigned)strtoul(argv[4], 0, 10);
  if (copies < 1 || copies > 64) copies = 1;
  together = mmap(0, sizeof *together, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (together == MAP_FAILED) give_up("mmap");
  if (chdir(argv[1]) != 0) give_up(argv[1]);

  run_all(compute_workloads);
  run_all(memory_workloads);
  run_all(vector_workloads);
  run_all(kernel_workloads);
  if (copies == 1) run_isolated("applets", applets_body, argv[2]);
  printf("BENCH-END\n");
  return 0;
}
