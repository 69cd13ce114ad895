/* PAE paging: page-directory-pointer registers, 4 KiB and 2 MiB pages, execute-disable, reserved bits
 * (SDM volume 3, 4.4). */
#include "access.h"

const char program_name[] = "paging_pae";

#define kP 1ull
#define kW 2ull
#define kU 4ull
#define kA 0x20ull
#define kD 0x40ull
#define kPs 0x80ull
#define kNx (1ull << 63)
static u64 pdpt[4] __attribute__((aligned(32)));
static u64 low[512] __attribute__((aligned(4096))), high[512] __attribute__((aligned(4096))),
    other[512] __attribute__((aligned(4096))), table[512] __attribute__((aligned(4096)));
static u8 page_a[4096] __attribute__((aligned(4096))), page_b[4096] __attribute__((aligned(4096)));
static const Word kVa = 0x80000000u;

static void set(u64* entry, u64 value, Word va) {
  *(volatile u64*)entry = value;
  invlpg(va);
}
#define LOAD(va) (*(volatile u32*)(va))

static void rights(const char* group, u64* e, u64 base, Word va) {
  set(e, base | kP | kW, va);
  EXPECT_ROW(group, "supervisor-rw", va, kGood, kGood, kGood, 5, 7, 0x15);
  set(e, base | kP | kU | kW, va);
  EXPECT_ROW(group, "user-rw", va, kGood, kGood, kGood, kGood, kGood, kGood);
  set(e, base | kP | kU, va);
  EXPECT_ROW(group, "user-ro", va, kGood, 3, kGood, kGood, 7, kGood);
  set(e, base | kP | kU | kW | kNx, va);
  EXPECT_ROW(group, "user-nx", va, kGood, kGood, 0x11, kGood, kGood, 0x15);
  set(e, 0, va);
  EXPECT_ROW(group, "absent", va, 0, 2, 0x10, 4, 6, 0x14);
  set(e, base | kP | kU | kW | 1ull << 62, va);
  EXPECT_ROW(group, "reserved-bit-62", va, 9, 0xB, 0x19, 0xD, 0xF, 0x1D);
  set(e, base | kP | kW, va);
  attempt(kRead, va);
  check_eq("ad/read", *(volatile u64*)e & (kA | kD), kA);
  attempt(kWrite, va);
  check_eq("ad/write", *(volatile u64*)e & (kA | kD), kA | kD);
}

void program(void) {
  for (u32 i = 0; i < 16; ++i) low[i] = (u64)i << 21 | kP | kW | kPs;
  low[2] |= kU;
  pdpt[0] = (u32)low | kP;
  pdpt[2] = (u32)high | kP;
  high[0] = (u32)table | kP | kW | kU;
  write_cr4(read_cr4() | kCr4Pae);
  wrmsr(kMsrEfer, rdmsr(kMsrEfer) | 0x800);
  write_cr3((Word)pdpt);
  write_cr0(read_cr0() | kCr0Pg | kCr0Wp);
  page_a[0] = 0xC3;
  rights("4k", &table[0], (u32)page_a, kVa);
  rights("2m", &high[1], ((u32)page_a & 0xFFE00000) | kPs, kVa + (1u << 21) + ((Word)page_a & 0x1FFFFF));
  set(&high[1], ((u32)page_a & 0xFFE00000) | kPs | kP | kW | 1 << 13, kVa + (1u << 21));
  check_eq("2m/reserved-bit-13", attempt(kRead, kVa + (1u << 21)), 9);
  set(&table[0], (u32)page_a | kP | kW | kU, kVa);
  set(&high[0], (u32)table | kP | kW | kU | kNx, kVa);
  EXPECT_ROW("pde", "nx", kVa, kGood, kGood, 0x11, kGood, kGood, 0x15);
  set(&high[0], (u32)table | kP | kW | kU, kVa);
  /* The four pointers are registers: memory changes show only when CR3 is loaded. */
  LOAD(page_a) = 0xA;
  LOAD(page_b) = 0xB;
  other[0] = ((u32)page_b & 0xFFE00000) | kPs | kP | kW;
  pdpt[2] = (u32)other | kP;
  invlpg(kVa);
  check_eq("pdpte/loaded-with-cr3-only", LOAD(kVa), 0xA);
  write_cr3(read_cr3());
  check_eq("pdpte/reloaded", LOAD(kVa + ((Word)page_b & 0x1FFFFF)), 0xB);
  pdpt[2] = 0;
  write_cr3(read_cr3());
  check_eq("pdpte/absent", attempt(kRead, kVa), 0);
  pdpt[2] = (u32)high | kP | kW;
  EXPECT_FAULT("pdpte/reserved-bit-faults-the-load", kGP, 0, "mov %0, %%cr3", : "r"(pdpt));
  pdpt[2] = (u32)high | kP;
  write_cr3(read_cr3());
  check_eq("pdpte/good-again", LOAD(kVa), 0xA);
  check_eq("pdpte/second-absent", attempt(kRead, 0x40000000), 0);
  u32 stale = 0;
  for (u32 i = 0; i < 100; ++i) {
    set(&table[0], (i & 1 ? (u32)page_a : (u32)page_b) | kP | kW, kVa);
    if (LOAD(kVa) != (i & 1 ? 0xA : 0xB)) ++stale;
  }
  check_eq("tlb/invlpg", stale, 0);
  write_cr0(read_cr0() & ~kCr0Pg);
  check("paging-off/still-here", LOAD(page_b) == 0xB);
}
