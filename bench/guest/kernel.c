/* The guest's kernel: system calls, switches, faults, processes. What is measured is the price of a change
 * of privilege, of page tables and of address spaces. Beside "native" stands another kernel: the host's. */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

/* One operation: the cheapest system call. */
static uint64_t getppid_call(uint64_t count) {
  uint64_t same = 0;
  const long parent = syscall(SYS_getppid);
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) same += syscall(SYS_getppid) == parent;
  end_timing();
  return same;
}

static void wait_for(pid_t child) {
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) give_up("a child process failed");
}

/* One operation: a byte to another process and back, so two switches of address space. */
static uint64_t pipe_switch(uint64_t count) {
  int there[2], back[2];
  unsigned char byte = 0;
  uint64_t sum = 0;
  if (pipe(there) != 0 || pipe(back) != 0) give_up("pipe");
  const pid_t child = fork();
  if (child < 0) give_up("fork");
  if (child == 0) {
    close(there[1]);
    while (read(there[0], &byte, 1) == 1) {
      ++byte;
      if (write(back[1], &byte, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) give_up("pipe");
    sum += byte;
  }
  end_timing();
  close(there[1]);
  wait_for(child);
  close(there[0]);
  close(back[0]);
  close(back[1]);
  return sum;
}

static char* map(uint64_t bytes) {
  char* memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) give_up("mmap");
  madvise(memory, bytes, MADV_NOHUGEPAGE);
  return memory;
}

/* One operation: the first touch of a page. */
static uint64_t page_fault(uint64_t count) {
  enum { kPages = 1024 };
  uint64_t sum = 0;
  begin_timing();
  for (uint64_t n = 0; n < count; n += kPages) {
    char* const memory = map(kPages * 4096);
    for (uint64_t i = 0; i < kPages; ++i) sum += (uint64_t)++memory[i * 4096];
    munmap(memory, kPages * 4096);
  }
  end_timing();
  return sum;
}

/* One operation: map four pages, touch one, unmap them. */
static uint64_t map_unmap(uint64_t count) {
  uint64_t sum = 0;
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    char* const memory = map(4 * 4096);
    sum += (uint64_t)++memory[4096];
    munmap(memory, 4 * 4096);
  }
  end_timing();
  return sum;
}

/* One operation: fork, exit, wait. */
static uint64_t fork_exit(uint64_t count) {
  uint64_t done = 0;
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    const pid_t child = fork();
    if (child < 0) give_up("fork");
    if (child == 0) _exit(0);
    wait_for(child);
    ++done;
  }
  end_timing();
  return done;
}

/* One operation: vfork, execute this program (which ends at once), wait. */
static void execute_once(void) {
  const pid_t child = vfork();
  if (child < 0) give_up("vfork");
  if (child == 0) {
    execl(self_path, self_path, "nothing", (char*)0);
    _exit(1);
  }
  wait_for(child);
}
static uint64_t execute(uint64_t count) {
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) execute_once();
  end_timing();
  return count;
}

const struct workload kernel_workloads[] = {
    {"getppid", getppid_call, 500000},
    {"pipe_switch", pipe_switch, 10000},
    {"page_fault", page_fault, 20480},
    {"map_unmap", map_unmap, 5000},
    {"fork", fork_exit, 300},
    {"exec", execute, 200},
    {0},
};
