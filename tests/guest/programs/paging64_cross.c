/* Accesses that cross from one page into another: neighbours in the address space, not in memory; and what
 * happens if the second page is absent or read-only (SDM volume 3, 4.7 and 8.1.1). */
#include "paging.h"

const char program_name[] = "paging64_cross";

static u8 frames[3][4096] __attribute__((aligned(4096)));
static const u64 kVa = 0x0000040000000000ull;
static u64 edge; /* the first byte of the second page */
static u64* second;
static const u64 kPattern = 0x8877665544332211ull;

static void reset(void) {
  memset(frames, 0xEE, sizeof frames);
  map(boot_pml4, kVa, (u64)frames[2], 1, kW);
  second = map(boot_pml4, kVa + 4096, (u64)frames[0], 1, kW);
  edge = kVa + 4096;
}

static u8 at(u64 va) { return va < edge ? frames[2][va & 4095] : frames[0][va & 4095]; }
static bool holds(u64 va, const void* bytes, u32 n) {
  bool good = true;
  for (u32 i = 0; i < n; ++i) good = good && at(va + i) == ((const u8*)bytes)[i];
  return good && at(va - 1) == 0xEE && at(va + n) == 0xEE;
}

static void values(void) {
  u32 wrong_store = 0, wrong_load = 0;
  for (u32 before = 1; before < 8; ++before) {
    reset();
    u64 va = edge - before, back;
    asm volatile("movq %1, (%0)" ::"r"(va), "r"(kPattern) : "memory");
    if (!holds(va, &kPattern, 8)) ++wrong_store;
    asm volatile("movq (%1), %0" : "=r"(back) : "r"(va) : "memory");
    if (back != kPattern) ++wrong_load;
  }
  check_eq("mov64/store", wrong_store, 0);
  check_eq("mov64/load", wrong_load, 0);
  reset();
  u32 small = 0x11223344;
  asm volatile("movw %w1, (%0)" ::"r"(edge - 1), "r"(small) : "memory");
  check("mov16/store", holds(edge - 1, &small, 2));
  reset();
  asm volatile("movl %1, (%0)" ::"r"(edge - 3), "r"(small) : "memory");
  check("mov32/store", holds(edge - 3, &small, 4));
  u64 v;
  asm volatile("movswq (%1), %0" : "=r"(v) : "r"(edge - 1) : "memory");
  check_eq("movsx16/load", v, 0x1122);
  asm volatile("lock addl $0x01010101, (%0)" ::"r"(edge - 3) : "memory", "cc");
  small += 0x01010101;
  check("lock-add/split", holds(edge - 3, &small, 4));
  asm volatile("xchgl %1, (%0)" ::"r"(edge - 3), "r"(0x55667788) : "memory");
  small = 0x55667788;
  check("xchg/split", holds(edge - 3, &small, 4));
  asm volatile("rorl $8, (%0)" ::"r"(edge - 3) : "memory", "cc");
  small = 0x88556677;
  check("ror/read-modify-write", holds(edge - 3, &small, 4));
  u64 sp;
  reset();
  asm volatile("movq %%rsp, %1\n\tmovq %2, %%rsp\n\tpushq %3\n\tpopq %0\n\tmovq %1, %%rsp"
               : "=&r"(v), "=&r"(sp)
               : "r"(edge + 3), "r"(kPattern)
               : "memory");
  check("push-pop/split", v == kPattern && holds(edge - 5, &kPattern, 8));
  write_cr4(read_cr4() | kCr4Osfxsr);
  static const u8 vector[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  reset();
  asm volatile("movups %1, %%xmm3\n\tmovups %%xmm3, (%0)" ::"r"(edge - 9), "m"(vector) : "memory");
  check("movups/store", holds(edge - 9, vector, 16));
  static u8 out[16];
  asm volatile("movups (%1), %%xmm4\n\tmovups %%xmm4, %0" : "=m"(out) : "r"(edge - 9) : "memory");
  check("movups/load", same(out, vector, 16));
  reset();
  asm volatile("fninit\n\tfld1\n\tfstpt (%0)\n\tfldt (%0)\n\tfstpl %1" ::"r"(edge - 4), "m"(v) : "memory");
  static const u8 one[10] = {0, 0, 0, 0, 0, 0, 0, 0x80, 0xFF, 0x3F};
  check("fstp80/store", holds(edge - 4, one, 10));
  check_eq("fld80/load", *(volatile u64*)&v, 0x3FF0000000000000ull);
  struct TablePointer table;
  reset();
  asm volatile("sgdt (%0)" ::"r"(edge - 6) : "memory");
  asm volatile("sgdt %0" : "=m"(table));
  check("sgdt/split", holds(edge - 6, &table, 10));
}

#define ABSENT(name, error, insn, va, ...)                                                \
  reset();                                                                                \
  *second = 0;                                                                            \
  invlpg(edge);                                                                           \
  EXPECT_FAULT(name, kPF, error, insn, : "r"(va), ##__VA_ARGS__ : "rax", "memory", "cc"); \
  check_eq(name "/cr2", caught.cr2, edge)

static bool untouched(void) {
  bool good = true;
  for (u32 i = 4064; i < 4096; ++i) good = good && frames[2][i] == 0xEE;
  return good;
}

static void second_absent(void) {
  ABSENT("absent/load", 0, "movq (%0), %%rax", edge - 3);
  ABSENT("absent/store", 2, "movq %1, (%0)", edge - 3, "r"(kPattern));
  check("absent/store-wrote-nothing", untouched());
  ABSENT("absent/store16", 2, "movw %w1, (%0)", edge - 1, "r"(0));
  check("absent/store16-wrote-nothing", untouched());
  ABSENT("absent/movups", 2, "movups %%xmm0, (%0)", edge - 8);
  check("absent/movups-wrote-nothing", untouched());
  ABSENT("absent/fstpt", 2, "fld1\n\t" MARK "fstpt (%0)", edge - 4);
  check("absent/fstpt-wrote-nothing", untouched());
  ABSENT("absent/fxsave", 2, "fxsave (%0)", edge - 16);
  reset();
  second = map(boot_pml4, edge, (u64)frames[0], 1, 0);
  EXPECT_FAULT("read-only/store", kPF, 3, "movq %1, (%0)", : "r"(edge - 3), "r"(kPattern) : "memory");
  check_eq("read-only/store-cr2", caught.cr2, edge);
  check("read-only/store-wrote-nothing", untouched());
  EXPECT_FAULT("read-only/add", kPF, 3, "addq %1, (%0)", : "r"(edge - 3), "r"(kPattern) : "memory", "cc");
  EXPECT_OK("read-only/load", "movq (%0), %%rax", : "r"(edge - 3) : "rax", "memory");
  reset();
  u64* first = map(boot_pml4, kVa, (u64)frames[2], 1, 0);
  EXPECT_FAULT("first-read-only/store", kPF, 3, "movq %1, (%0)", : "r"(edge - 3), "r"(kPattern) : "memory");
  check_eq("first-read-only/cr2", caught.cr2, edge - 3);
  *first = 0;
  *second = 0;
  invlpg(kVa);
  invlpg(edge);
  EXPECT_FAULT("both-absent/load", kPF, 0, "movq (%0), %%rax", : "r"(edge - 3) : "rax");
  check_eq("both-absent/cr2", caught.cr2, edge - 3);
}

/* Accessed and dirty bits of both pages; the top of the address space; the end of 4 GiB is no end. */
static void bits(void) {
  reset();
  u64* first = entry_of(boot_pml4, kVa, 1);
  *first &= ~(kA | kD);
  *second &= ~(kA | kD);
  invlpg(kVa);
  invlpg(edge);
  asm volatile("movl %1, (%0)" ::"r"(edge - 2), "r"(0) : "memory");
  check("dirty/both", (*first & *second & (kA | kD)) == (kA | kD));
  u64 low = map(boot_pml4, 0x00007FFFFFFFF000ull, (u64)frames[1], 1, kW) != 0;
  check("canonical-edge/last-bytes-are-fine", low && CATCH(*(volatile u64*)0x00007FFFFFFFFFF8ull = 1) == -1);
}

void program(void) {
  values();
  second_absent();
  bits();
}
