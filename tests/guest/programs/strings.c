/* The string instructions with and without REP: all sizes, both directions, all address sizes of 64-bit mode,
 * overlap, and faults in the middle (SDM volume 1, 7.3.9; volume 2, REP). */
#include "paging.h"

const char program_name[] = "strings";

struct Registers {
  u64 a, c, si, di, flags;
};
static struct Registers r;
static u8 source[512] __attribute__((aligned(64))), target[512] __attribute__((aligned(64)));

#define RUN(insn)                                                          \
  asm volatile("pushq %4\n\tpopfq\n\t" insn "\n\tpushfq\n\tpopq %4\n\tcld" \
               : "+a"(r.a), "+c"(r.c), "+S"(r.si), "+D"(r.di), "+r"(r.flags)::"memory", "cc")

static void prepare(u64 a, u64 count, bool down, const void* si, const void* di) {
  r = (struct Registers){a, count, (u64)si, (u64)di, 2 | (down ? kDf : 0)};
}
static void fill(void) {
  for (u32 i = 0; i < 512; ++i) {
    source[i] = (u8)(i * 7 + 3);
    target[i] = 0xEE;
  }
}
static const char* join(const char* a, const char* b) {
  static char out[80];
  char* p = out;
  for (; *a; ++a) *p++ = *a;
  *p++ = '/';
  for (; *b; ++b) *p++ = *b;
  *p = 0;
  return out;
}

static bool moved(const u8* from, const u8* to, u64 bytes) {
  if (!same(from, to, bytes)) return false;
  return to == target ? to[bytes] == 0xEE : to[-1] == 0xEE && to[bytes] == 0xEE;
}

#define MOVS(suffix, size)                                                                                 \
  static void movs_##suffix(void) {                                                                        \
    fill();                                                                                                \
    prepare(0, 9, false, source, target + 8);                                                              \
    RUN("rep movs" #suffix);                                                                               \
    check(join("movs" #suffix, "up"), moved(source, target + 8, 9 * size) && r.c == 0 &&                   \
                                          r.si == (u64)source + 9 * size &&                                \
                                          r.di == (u64)target + 8 + 9 * size);                             \
    fill();                                                                                                \
    prepare(0, 9, true, source + 8 * size, target + 8 + 8 * size);                                         \
    RUN("rep movs" #suffix);                                                                               \
    check(join("movs" #suffix, "down"), moved(source, target + 8, 9 * size) && r.c == 0 &&                 \
                                            r.si == (u64)source - size && r.di == (u64)target + 8 - size); \
    fill();                                                                                                \
    prepare(0, 0, false, source, target);                                                                  \
    RUN("rep movs" #suffix);                                                                               \
    check(join("movs" #suffix, "count-zero"), target[0] == 0xEE && r.si == (u64)source && r.c == 0);       \
    prepare(0, 5, false, source, target + 8);                                                              \
    RUN("movs" #suffix);                                                                                   \
    check(join("movs" #suffix, "single"),                                                                  \
          moved(source, target + 8, size) && r.c == 5 && r.si == (u64)source + size);                      \
    fill();                                                                                                \
    prepare(0x1122334455667788ull, 10, false, 0, target + 8);                                              \
    RUN("rep stos" #suffix);                                                                               \
    u64 pattern = 0x1122334455667788ull;                                                                   \
    bool good = r.di == (u64)target + 8 + 10 * size && r.c == 0 && target[7] == 0xEE;                      \
    for (u32 i = 0; i < 10; ++i) good = good && same(target + 8 + i * size, &pattern, size);               \
    check(join("stos" #suffix, "up"), good&& target[8 + 10 * size] == 0xEE);                               \
    fill();                                                                                                \
    prepare(0x1122334455667788ull, 10, true, 0, target + 8 + 9 * size);                                    \
    RUN("rep stos" #suffix);                                                                               \
    good = r.di == (u64)target + 8 - size && target[7] == 0xEE && target[8 + 10 * size] == 0xEE;           \
    for (u32 i = 0; i < 10; ++i) good = good && same(target + 8 + i * size, &pattern, size);               \
    check(join("stos" #suffix, "down"), good);                                                             \
    prepare(0, 3, false, source + 16, 0);                                                                  \
    RUN("rep lods" #suffix);                                                                               \
    check(join("lods" #suffix, "rep"), same(&r.a, source + 16 + 2 * size, size) && r.c == 0);              \
    prepare(~0ull, 3, false, source + 16, 0);                                                              \
    RUN("lods" #suffix);                                                                                   \
    check_eq(join("lods" #suffix, "upper-half"), r.a >> 32,                                                \
             size == 4   ? 0                                                                               \
             : size == 8 ? r.a >> 32                                                                       \
                         : 0xFFFFFFFF);                                                                    \
    memcpy(target, source, 256);                                                                           \
    target[11 * size] ^= 0x80;                                                                             \
    prepare(0, 20, false, source, target);                                                                 \
    RUN("repe cmps" #suffix);                                                                              \
    check(join("cmps" #suffix, "repe-stops"),                                                              \
          r.c == 8 && r.si == (u64)source + 12 * size && !(r.flags & kZf));                                \
    prepare(0, 11, false, source, target);                                                                 \
    RUN("repe cmps" #suffix);                                                                              \
    check(join("cmps" #suffix, "repe-to-the-end"), r.c == 0 && (r.flags & kZf));                           \
    prepare(0, 20, false, source, target + size);                                                          \
    RUN("repne cmps" #suffix);                                                                             \
    check(join("cmps" #suffix, "repne"), r.c == 0 && !(r.flags & kZf));                                    \
    prepare(0, 0, false, 0, 0);                                                                            \
    r.flags |= kZf | kCf;                                                                                  \
    RUN("repe cmps" #suffix);                                                                              \
    check_eq(join("cmps" #suffix, "count-zero-keeps-flags"), r.flags&(kZf | kCf), kZf | kCf);              \
    u64 needle = 0;                                                                                        \
    memcpy(&needle, source + 13 * size, size);                                                             \
    prepare(needle, 40, false, 0, source);                                                                 \
    RUN("repne scas" #suffix);                                                                             \
    check(join("scas" #suffix, "repne-finds"),                                                             \
          r.c == 26 && r.di == (u64)source + 14 * size && (r.flags & kZf));                                \
    prepare(needle, 40, true, 0, source + 20 * size);                                                      \
    RUN("repne scas" #suffix);                                                                             \
    check(join("scas" #suffix, "repne-finds-down"), r.c == 32 && r.di == (u64)source + 12 * size);         \
    memset(target, 0x5A, 256);                                                                             \
    target[9 * size + size - 1] = 0x11;                                                                    \
    prepare(0x5A5A5A5A5A5A5A5Aull, 20, false, 0, target);                                                  \
    RUN("repe scas" #suffix);                                                                              \
    check(join("scas" #suffix, "repe"),                                                                    \
          r.c == 10 && r.di == (u64)target + 10 * size && !(r.flags & (kZf | kCf)));                       \
  }
MOVS(b, 1)
MOVS(w, 2)
MOVS(l, 4)
MOVS(q, 8)

static void overlap(void) {
  fill();
  target[0] = 0x42;
  prepare(0, 100, false, target, target + 1);
  RUN("rep movsb");
  bool good = true;
  for (u32 i = 0; i <= 100; ++i) good = good && target[i] == 0x42;
  check("overlap/up-by-one-smears", good && target[101] == 0xEE);
  memcpy(target, source, 200);
  prepare(0, 100, true, target + 99, target + 109);
  RUN("rep movsb");
  check("overlap/down-moves", same(target + 10, source, 100));
  memcpy(target, source, 200);
  prepare(0, 20, false, target, target + 3);
  RUN("rep movsq");
  good = true;
  u8 model[200];
  memcpy(model, source, 200);
  for (u32 i = 0; i < 20; ++i) {
    u64 word;
    memcpy(&word, model + i * 8, 8);
    memcpy(model + 3 + i * 8, &word, 8);
  }
  check("overlap/quadwords-by-three-bytes", same(model, target, 200));
}

static void address_size(void) {
  fill();
  prepare(0, 0xFFFFFFFF00000008ull, false, source, target + 8);
  r.si |= 0xAAAA000000000000ull;
  r.di |= 0x5555000000000000ull;
  RUN("addr32 rep movsb");
  check("addr32/moves", moved(source, target + 8, 8));
  check_eq("addr32/rcx", r.c, 0);
  check_eq("addr32/rsi", r.si, (u64)source + 8);
  check_eq("addr32/rdi", r.di, (u64)target + 16);
  fill();
  u64 fs = rdmsr(kMsrFsBase);
  wrmsr(kMsrFsBase, (Word)source);
  prepare(0, 8, false, 0, target + 8);
  RUN("rep movsb %%fs:(%%rsi), %%es:(%%rdi)");
  check("segment/fs-source", moved(source, target + 8, 8));
  prepare(0, 1, false, (void*)4, 0);
  RUN("lodsb %%fs:(%%rsi), %%al");
  check_eq("segment/fs-lods", r.a, source[4]);
  wrmsr(kMsrFsBase, fs);
  prepare(0, 4, false, source, target + 8);
  fill();
  RUN("repne movsb");
  check("prefix/repne-movs-repeats", moved(source, target + 8, 4) && r.c == 0);
  prepare(0x1234, 0x100000003ull, false, source, target);
  RUN("addr32 rep lodsb");
  check_eq("addr32/high-half-of-rcx-is-cleared", r.c, 0);
}

/* REP over a page that is not there: the registers say how far it came, and the instruction can go on. */
static void faults(void) {
  static u8 frames[2][4096] __attribute__((aligned(4096)));
  u64 va = 0x0000030000000000ull;
  memset(frames[0], 0x11, 4096);
  memset(frames[1], 0x22, 4096);
  map(boot_pml4, va, (u64)frames[0], 1, kW);
  u64* second = entry_of(boot_pml4, va + 4096, 1);
  *second = 0;
  u64 at = va + 4096 - 24;
#define FAULTING(name, error, c_left, insn, a_in, c_in, si_in, di_in, si_off, di_off)     \
  do {                                                                                    \
    CATCH(asm volatile(MARK insn "\n\tcld" ::"a"(a_in), "c"(c_in), "S"(si_in), "D"(di_in) \
                       : "memory", "cc"));                                                \
    check_caught(name, kPF, error);                                                       \
    check_eq(name "/rcx", caught.frame.cx, c_left);                                       \
    check_eq(name "/rsi", caught.frame.si, (u64)(si_in) + (u64)(si_off));                 \
    check_eq(name "/rdi", caught.frame.di, (u64)(di_in) + (u64)(di_off));                 \
    asm volatile("cld");                                                                  \
  } while (0)
  FAULTING("fault/stosb", 2, 76ull, "rep stosb", 0x33ull, 100ull, 0ull, at, 0, 24);
  check_eq("fault/stosb/cr2", caught.cr2, va + 4096);
  check("fault/stosb/written-so-far", frames[0][4095] == 0x33 && frames[0][4096 - 25] == 0x11);
  FAULTING("fault/stosq", 2, 7ull, "rep stosq", 0x33ull, 10ull, 0ull, at, 0, 24);
  FAULTING("fault/movsb-source", 0, 76ull, "rep movsb", 0ull, 100ull, at, target, 24, 24);
  FAULTING("fault/movsb-target", 2, 76ull, "rep movsb", 0ull, 100ull, source, at, 24, 24);
  FAULTING("fault/movsl-target", 2, 94ull, "rep movsl", 0ull, 100ull, source, at, 24, 24);
  FAULTING("fault/movsl-across", 2, 95ull, "rep movsl", 0ull, 100ull, source, at + 2, 20, 20);
  FAULTING("fault/lodsb", 0, 76ull, "rep lodsb", 0ull, 100ull, at, target, 24, 0);
  memset(frames[0] + 4096 - 24, 0x44, 24);
  FAULTING("fault/scasb", 0, 76ull, "repe scasb", 0x44ull, 100ull, 0ull, at, 0, 24);
  memset(target, 0x44, 64);
  FAULTING("fault/cmpsb", 0, 76ull, "repe cmpsb", 0ull, 100ull, at, target, 24, 24);
  u64 up = va + 8192; /* downwards into the absent page from the one above it */
  map(boot_pml4, up, (u64)frames[1], 1, kW);
  asm volatile("std");
  FAULTING("fault/stosb-down", 2, 92ull, "rep stosb", 0x33ull, 100ull, 0ull, up + 7, 0, -8);
  /* The page appears: the rest is done by restarting the instruction. */
  CATCH(asm volatile("rep stosb" ::"a"(0x55), "c"(100), "D"(at) : "memory"));
  *second = (u64)frames[1] | kP | kW;
  struct Registers rest = {0x55, caught.frame.cx, 0, caught.frame.di, 2};
  r = rest;
  RUN("rep stosb");
  check("fault/restarted", frames[0][4095] == 0x55 && frames[1][75] == 0x55 && frames[1][76] == 0x22);
}

static bool bring_in(struct Frame* f) {
  (void)f;
  u64 va = read_cr2() & ~0xFFFull;
  if (va < 0x0000031000000000ull || va >= 0x0000031000020000ull) return false;
  map(boot_pml4, va, (u64)new_page(), 1, kW);
  return true;
}

/* A handler that maps pages on demand under one long REP. */
static void demand(void) {
  u64 va = 0x0000031000000000ull;
  set_handler(kPF, bring_in);
  prepare(0x6B, 0x8000, false, 0, (void*)(va + 0x123));
  RUN("rep stosb");
  u32 wrong = 0;
  for (u32 i = 0; i < 0x8000; i += 37) {
    if (*(volatile u8*)(va + 0x123 + i) != 0x6B) ++wrong;
  }
  check("demand/stosb", wrong == 0 && r.c == 0 && r.di == va + 0x8123);
  prepare(0, 0x1000, false, (void*)(va + 0x200), (void*)(va + 0xA005));
  RUN("rep movsq");
  check("demand/movsq", r.c == 0 && *(volatile u8*)(va + 0xA005) == 0x6B && r.di == va + 0xA005 + 0x8000);
  set_handler(kPF, 0);
}

void program(void) {
  movs_b();
  movs_w();
  movs_l();
  movs_q();
  overlap();
  address_size();
  faults();
  demand();
}
