/* 32-bit paging: 4 KiB and 4 MiB pages, rights, WP, accessed and dirty bits, reserved bits, invalidation
 * (SDM volume 3, 4.3, 4.6 to 4.8). There is no execute-disable here and fetches are not told apart. */
#include "access.h"

const char program_name[] = "paging32";

enum { kP = 1, kW = 2, kU = 4, kA = 0x20, kD = 0x40, kPs = 0x80, kG = 0x100 };
static u32 directory[1024] __attribute__((aligned(4096))), table[1024] __attribute__((aligned(4096)));
static u8 page_a[4096] __attribute__((aligned(4096))), page_b[4096] __attribute__((aligned(4096)));
static const Word kVa = 0x80000000u;

static void set(u32* entry, u32 value, Word va) {
  *(volatile u32*)entry = value;
  invlpg(va);
}
#define LOAD(va) (*(volatile u32*)(va))

static void rights(const char* group, u32* e, u32 base, Word va) {
  set(e, base | kP | kW, va);
  EXPECT_ROW(group, "supervisor-rw", va, kGood, kGood, kGood, 5, 7, 5);
  set(e, base | kP, va);
  EXPECT_ROW(group, "supervisor-ro", va, kGood, 3, kGood, 5, 7, 5);
  set(e, base | kP | kU | kW, va);
  EXPECT_ROW(group, "user-rw", va, kGood, kGood, kGood, kGood, kGood, kGood);
  set(e, base | kP | kU, va);
  EXPECT_ROW(group, "user-ro", va, kGood, 3, kGood, kGood, 7, kGood);
  write_cr0(read_cr0() & ~(Word)kCr0Wp);
  EXPECT_ROW(group, "user-ro-without-wp", va, kGood, kGood, kGood, kGood, 7, kGood);
  write_cr0(read_cr0() | kCr0Wp);
  set(e, 0, va);
  EXPECT_ROW(group, "absent", va, 0, 2, 0, 4, 6, 4);
  set(e, base | kP | kW, va);
  attempt(kRead, va);
  check_eq("ad/read", *(volatile u32*)e & (kA | kD), kA);
  attempt(kWrite, va);
  check_eq("ad/write", *(volatile u32*)e & (kA | kD), kA | kD);
}

void program(void) {
  for (u32 i = 0; i < 16; ++i) directory[i] = i << 22 | kP | kW | kPs;
  directory[1] |= kU;
  directory[kVa >> 22] = (u32)table | kP | kW | kU;
  write_cr4(read_cr4() | kCr4Pse);
  write_cr3((Word)directory);
  write_cr0(read_cr0() | kCr0Pg | kCr0Wp);
  page_a[0] = 0xC3;
  rights("4k", &table[0], (u32)page_a, kVa);
  u32* pde = &directory[kVa >> 22];
  table[0] = (u32)page_a | kP | kW | kU;
  set(pde, (u32)table | kP | kU, kVa);
  EXPECT_ROW("pde", "read-only", kVa, kGood, 3, kGood, kGood, 7, kGood);
  set(pde, (u32)table | kP | kW, kVa);
  EXPECT_ROW("pde", "supervisor", kVa, kGood, kGood, kGood, 5, 7, 5);
  set(pde, 0, kVa);
  EXPECT_ROW("pde", "absent", kVa, 0, 2, 0, 4, 6, 4);
  u32* large = &directory[(kVa >> 22) + 1];
  Word at = kVa + (1u << 22) + ((Word)page_a & 0x3FFFFF);
  rights("4m", large, ((u32)page_a & 0xFFC00000) | kPs, at);
  set(large, ((u32)page_a & 0xFFC00000) | kP | kW | kU | kPs | 1u << 21, at);
  EXPECT_ROW("4m", "reserved-bit-21", at, 9, 0xB, 9, 0xD, 0xF, 0xD);
  set(large, 0, at);
  set(pde, (u32)table | kP | kW | kU, kVa);
  LOAD(page_a) = 0xA;
  LOAD(page_b) = 0xB;
  u32 stale = 0;
  for (u32 i = 0; i < 100; ++i) {
    set(&table[0], (i & 1 ? (u32)page_a : (u32)page_b) | kP | kW, kVa);
    if (LOAD(kVa) != (i & 1 ? 0xA : 0xB)) ++stale;
    table[0] = (i & 1 ? (u32)page_b : (u32)page_a) | kP | kW;
    write_cr3(read_cr3());
    if (LOAD(kVa) != (i & 1 ? 0xB : 0xA)) ++stale;
  }
  check_eq("tlb/invlpg-and-mov-cr3", stale, 0);
  /* Across two pages whose frames are not neighbours, and into an absent one. */
  set(&table[0], (u32)page_b | kP | kW, kVa);
  set(&table[1], (u32)page_a | kP | kW, kVa + 4096);
  *(volatile u32*)(kVa + 4094) = 0x44332211;
  check("cross/store",
        page_b[4094] == 0x11 && page_b[4095] == 0x22 && page_a[0] == 0x33 && page_a[1] == 0x44);
  set(&table[1], 0, kVa + 4096);
  EXPECT_FAULT("cross/second-absent", kPF, 2, "movl %%eax, (%0)", : "r"(kVa + 4094) : "memory");
  check_eq("cross/cr2", caught.cr2, kVa + 4096);
  /* A linear address wraps at 4 GiB. */
  write_cr0(read_cr0() & ~kCr0Pg);
  check("paging-off/still-here", LOAD(page_b) == 0xB);
  write_cr0(read_cr0() | kCr0Pg);
  check_eq("paging-on-again", LOAD(kVa), 0xB);
  /* Without PSE the same entry points to a table. */
  EXPECT_OK("invlpg/anywhere", "invlpg (%0)", : "r"(0xFFFFF000u));
  write_cr0(read_cr0() & ~kCr0Pg);
}
