/* See paging.h. */
#include "paging.h"

static u64 pool[256][512] __attribute__((aligned(4096)));
static u32 used;

u64* new_page(void) {
  if (used == 256) {
    check("page-pool-exhausted", false);
    finish();
  }
  return pool[used++];
}

u64* entry_of(u64* pml4, u64 va, int level) {
  u64* table = pml4;
  for (int l = 4; l > level; --l) {
    u64* e = &table[va >> (12 + 9 * (l - 1)) & 511];
    if (!(*e & kP)) *e = (u64)new_page() | kP | kW | kU;
    table = (u64*)(*e & kFrame);
  }
  return &table[va >> (12 + 9 * (level - 1)) & 511];
}

u64* map(u64* pml4, u64 va, u64 pa, int level, u64 flags) {
  u64* e = entry_of(pml4, va, level);
  *e = pa | flags | kP | (level > 1 ? kPs : 0);
  invlpg(va);
  return e;
}
