/* Memory: latency in and beyond the caches, the reach of the translation buffers, copies. What is
 * measured is the price of an address. */
#include <string.h>
#include <sys/mman.h>

#include "workload.h"

static char* pages(uint64_t bytes) {
  char* memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) give_up("mmap");
  madvise(memory, bytes, MADV_NOHUGEPAGE);
  memset(memory, 1, bytes);
  return memory;
}

/* One operation: a load whose address is the result of the one before. The nodes, 64 bytes each, form one
 * random cycle (Sattolo's algorithm). */
static uint64_t chase(uint64_t count, uint64_t bytes) {
  struct node {
    struct node* next;
    uint64_t index, unused[6];
  }* const nodes = (struct node*)pages(bytes);
  const uint64_t length = bytes / sizeof *nodes;
  uint64_t state = 4, sum = 0;
  for (uint64_t i = 0; i < length; ++i) nodes[i].index = i;
  for (uint64_t i = length - 1; i > 0; --i) {
    const uint64_t j = next_random(&state) % i, old = nodes[i].index;
    nodes[i].index = nodes[j].index;
    nodes[j].index = old;
  }
  for (uint64_t i = 0; i < length; ++i) nodes[i].next = &nodes[nodes[i].index];
  const struct node* at = nodes;
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) at = at->next;
  end_timing();
  sum = at->index;
  munmap(nodes, bytes);
  return sum;
}
static uint64_t chase_32k(uint64_t count) { return chase(count, 32 << 10); }
static uint64_t chase_16m(uint64_t count) { return chase(count, 16 << 20); }

/* One operation: a store to one of 8192 pages in turn, more than any translation buffer holds. */
static uint64_t page_stride(uint64_t count) {
  enum { kPages = 8192 };
  char* const memory = pages(kPages * 4096ull);
  uint64_t sum = 0;
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    char* const at = memory + (n * 4099 % kPages) * 4096 + (n & 63) * 64;
    sum += (uint64_t)++ * at;
  }
  end_timing();
  munmap(memory, kPages * 4096ull);
  return sum;
}

/* One operation: the C library's memcpy of 64 KiB. */
static uint64_t copy(uint64_t count) {
  enum { kBytes = 64 << 10 };
  char *const from = pages(kBytes), *const to = pages(kBytes);
  uint64_t sum = 0;
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    from[n % kBytes] = (char)n;
    memcpy(to, from, kBytes);
    sum += (uint8_t)to[(n * 7) % kBytes];
  }
  end_timing();
  munmap(from, kBytes);
  munmap(to, kBytes);
  return sum;
}

/* One operation: rep movsb of 4 KiB, not aligned. */
static uint64_t rep_movsb(uint64_t count) {
  enum { kBytes = 4096 };
  char *const from = pages(3 * kBytes), *const to = pages(3 * kBytes);
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    void *source = from + 5, *target = to + (n & 31);
    uint64_t length = kBytes;
    from[5] = (char)n;
    __asm__ volatile("rep movsb" : "+S"(source), "+D"(target), "+c"(length)::"memory");
  }
  end_timing();
  uint64_t sum = 0;
  for (int i = 0; i < 3 * kBytes; ++i) sum = sum * 31 + (uint8_t)to[i];
  munmap(from, 3 * kBytes);
  munmap(to, 3 * kBytes);
  return sum;
}

const struct workload memory_workloads[] = {
    {"chase_32k", chase_32k, 20000000},    {"chase_16m", chase_16m, 2000000},
    {"page_stride", page_stride, 1000000}, {"memcpy_64k", copy, 5000},
    {"rep_movsb_4k", rep_movsb, 20000},    {0},
};
