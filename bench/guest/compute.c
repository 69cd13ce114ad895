/* Integer code in user mode: hashing, sorting, an interpreter's dispatch, recursion, division. No system
 * calls, few cache misses: what is measured is the quality of the translated code. */
#include <stddef.h>

#include "workload.h"

enum { kText = 4096, kKeys = 2048, kBuckets = 4096 };

/* One operation: FNV-1a over 4 KiB, a dependent chain of byte loads and multiplications. */
static uint64_t hash(uint64_t count) {
  static uint8_t text[kText];
  uint64_t state = 1, sum = 0;
  for (size_t i = 0; i < kText; ++i) text[i] = (uint8_t)next_random(&state);
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    uint64_t h = 0xcbf29ce484222325u ^ n;
    for (size_t i = 0; i < kText; ++i) h = (h ^ text[i]) * 0x100000001b3u;
    sum += h;
  }
  end_timing();
  return sum;
}

/* One operation: insert a key into an open hash table, or find it there. */
static uint64_t table(uint64_t count) {
  static uint64_t slots[kBuckets];
  uint64_t state = 2, probes = 0;
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    const uint64_t key = next_random(&state) % 3001 + 1;
    size_t at = (key * 0x9e3779b97f4a7c15u) >> 52;
    while (slots[at] != 0 && slots[at] != key) {
      at = (at + 1) % kBuckets;
      ++probes;
    }
    slots[at] = key;
  }
  end_timing();
  return probes;
}

static void quicksort(uint32_t* keys, ptrdiff_t low, ptrdiff_t high) {
  while (low < high) {
    const uint32_t pivot = keys[low + (high - low) / 2];
    ptrdiff_t i = low, j = high;
    while (i <= j) {
      while (keys[i] < pivot) ++i;
      while (keys[j] > pivot) --j;
      if (i <= j) {
        const uint32_t key = keys[i];
        keys[i++] = keys[j];
        keys[j--] = key;
      }
    }
    quicksort(keys, low, j);
    low = i;
  }
}

/* One operation: fill 2048 keys and sort them. Branches that no predictor knows. */
static uint64_t sort(uint64_t count) {
  static uint32_t keys[kKeys];
  uint64_t state = 3, sum = 0;
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) {
    for (size_t i = 0; i < kKeys; ++i) keys[i] = (uint32_t)next_random(&state);
    quicksort(keys, 0, kKeys - 1);
    for (size_t i = 0; i < kKeys; i += 64) sum = sum * 31 + keys[i];
  }
  end_timing();
  return sum;
}

/* One operation: one instruction of a small stack machine; an indirect jump each. */
static uint64_t interpreter(uint64_t count) {
  enum { kPush, kAdd, kMultiply, kRotate, kSwap, kBranch };
  static const uint8_t program[] = {kPush,     7,       kSwap, kAdd, kPush, 13,
                                    kMultiply, kRotate, kPush, 3,    kAdd,  kBranch};
  static const void* const labels[] = {&&push, &&add, &&multiply, &&rotate, &&swap, &&branch};
  uint64_t a = 1, b = 2;
  const uint8_t* at = program;
  begin_timing();
#define NEXT                     \
  do {                           \
    if (count-- == 0) goto done; \
    goto* labels[*at++];         \
  } while (0)
  NEXT;
push:
  b = a;
  a = *at++;
  NEXT;
add:
  a += b;
  NEXT;
multiply:
  a *= b | 1;
  NEXT;
rotate:
  a = a << 9 | a >> 55;
  NEXT;
swap : {
  const uint64_t old = a;
  a = b;
  b = old;
  NEXT;
}
branch:
  at = program;
  NEXT;
#undef NEXT
done:
  end_timing();
  return a ^ b;
}

__attribute__((noinline)) static uint64_t fibonacci(uint64_t n) {
  __asm__ volatile("" ::: "memory"); /* keeps the compiler from unrolling the recursion */
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

/* One operation: fibonacci(15), 1973 calls and returns. */
static uint64_t recursion(uint64_t count) {
  uint64_t sum = 0;
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) sum += fibonacci(15);
  end_timing();
  return sum;
}

static uint64_t twist(uint64_t x) { return x * 5 + 1; }
static uint64_t fold(uint64_t x) { return x ^ x >> 29; }
static uint64_t turn(uint64_t x) { return x << 3 | x >> 61; }
static uint64_t flip(uint64_t x) { return ~x; }

/* One operation: a call through a pointer whose target changes. */
static uint64_t indirect_call(uint64_t count) {
  static uint64_t (*const volatile functions[])(uint64_t) = {twist, fold, turn, flip};
  uint64_t x = 1;
  begin_timing();
  for (uint64_t n = 0; n < count; ++n) x = functions[(x >> 7) & 3](x + n);
  end_timing();
  return x;
}

const struct workload compute_workloads[] = {
    {"hash", hash, 10000},
    {"table", table, 4000000},
    {"quicksort", sort, 400},
    {"interpreter", interpreter, 20000000},
    {"recursion", recursion, 8000},
    {"indirect_call", indirect_call, 10000000},
    {0},
};
