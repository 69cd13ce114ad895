/* Four-level paging: rights and error codes for 4 KiB, 2 MiB and 1 GiB pages, accessed and dirty bits, WP,
 * SMEP, SMAP, invalidation (SDM volume 3, 4.5 to 4.10). Accesses that cross pages and PCIDs: paging64_cross,
 * paging64_pcid. */
#include "access.h"
#include "paging.h"

const char program_name[] = "paging64";

static const u64 kBase = 0x0000010000000000ull;
static u8 page_a[4096] __attribute__((aligned(4096))), page_b[4096] __attribute__((aligned(4096)));

static u64 offset_in_page(int level) { return (u64)page_a & ((1ull << (12 + 9 * (level - 1))) - 1); }

static void rights(const char* group, int level) {
  u64 base = kBase + (u64)level * (1ull << 39);
  u64 va = base + offset_in_page(level), pa = (u64)page_a - offset_in_page(level);
  page_a[0] = 0xC3;
  map(boot_pml4, va, pa, level, kW);
  EXPECT_ROW(group, "supervisor-rw", va, kGood, kGood, kGood, 5, 7, 0x15);
  map(boot_pml4, va, pa, level, 0);
  EXPECT_ROW(group, "supervisor-ro", va, kGood, 3, kGood, 5, 7, 0x15);
  map(boot_pml4, va, pa, level, kU | kW);
  EXPECT_ROW(group, "user-rw", va, kGood, kGood, kGood, kGood, kGood, kGood);
  map(boot_pml4, va, pa, level, kU);
  EXPECT_ROW(group, "user-ro", va, kGood, 3, kGood, kGood, 7, kGood);
  write_cr0(read_cr0() & ~(Word)kCr0Wp);
  EXPECT_ROW(group, "user-ro-without-wp", va, kGood, kGood, kGood, kGood, 7, kGood);
  write_cr0(read_cr0() | kCr0Wp);
  EXPECT_ROW(group, "user-ro-wp-again", va, kGood, 3, kGood, kGood, 7, kGood);
  map(boot_pml4, va, pa, level, kU | kW | kNx);
  EXPECT_ROW(group, "user-nx", va, kGood, kGood, 0x11, kGood, kGood, 0x15);
  map(boot_pml4, va, pa, level, kW | kNx);
  EXPECT_ROW(group, "supervisor-nx", va, kGood, kGood, 0x11, 5, 7, 0x15);
  u64* e = map(boot_pml4, va, pa, level, kU | kW);
  *e &= ~kP;
  invlpg(va);
  EXPECT_ROW(group, "absent", va, 0, 2, 0x10, 4, 6, 0x14);
  if ((cpuid(0x80000008, 0).a & 0xFF) < 52) {
    *e |= kP | 1ull << 51;
    EXPECT_ROW(group, "reserved-address-bit", va, 9, 0xB, 0x19, 0xD, 0xF, 0x1D);
    *e &= ~(1ull << 51);
  } else {
    skip("reserved-address-bit", "52 physical address bits");
  }
  if (level > 1) {
    *e |= kP | 1ull << 13;
    EXPECT_ROW(group, "reserved-low-bit", va, 9, 0xB, 0x19, 0xD, 0xF, 0x1D);
    *e &= ~(1ull << 13);
  }
  *e |= kP;
  invlpg(va);
  EXPECT_ROW(group, "present-again", va, kGood, kGood, kGood, kGood, kGood, kGood);
  *e = 0;
  invlpg(va);
}

static void upper_levels(void) {
  u64 va = kBase + (8ull << 39);
  static const char* const kNames[] = {"", "", "pde", "pdpte", "pml4e"};
  map(boot_pml4, va, (u64)page_a, 1, kU | kW);
  for (int level = 2; level <= 4; ++level) {
    u64* e = entry_of(boot_pml4, va, level);
    u64 saved = *e;
    *e = saved & ~kW;
    invlpg(va);
    EXPECT_ROW(kNames[level], "read-only", va, kGood, 3, kGood, kGood, 7, kGood);
    *e = saved & ~kU;
    invlpg(va);
    EXPECT_ROW(kNames[level], "supervisor", va, kGood, kGood, kGood, 5, 7, 0x15);
    *e = saved | kNx;
    invlpg(va);
    EXPECT_ROW(kNames[level], "nx", va, kGood, kGood, 0x11, kGood, kGood, 0x15);
    *e = saved & ~kP;
    invlpg(va);
    EXPECT_ROW(kNames[level], "absent", va, 0, 2, 0x10, 4, 6, 0x14);
    *e = saved;
    invlpg(va);
  }
  u64* pml4e = entry_of(boot_pml4, va, 4);
  *pml4e |= kPs;
  invlpg(va);
  EXPECT_ROW("pml4e", "page-size-bit-is-reserved", va, 9, 0xB, 0x19, 0xD, 0xF, 0x1D);
  *pml4e &= ~kPs;
  invlpg(va);
}

static void accessed_dirty(const char* group, int level) {
  char name[80];
  u64 base = kBase + (u64)(level + 16) * (1ull << 39);
  u64 va = base + offset_in_page(level), pa = (u64)page_a - offset_in_page(level);
  u64* e = map(boot_pml4, va, pa, level, kW);
#define AD(what, bits)           \
  name_of(name, group, what, 0); \
  check_eq(name, *(volatile u64*)e&(kA | kD), bits)
  AD("fresh", 0);
  attempt(kRead, va);
  AD("read-sets-accessed", kA);
  attempt(kWrite, va);
  AD("write-after-read-sets-dirty", kA | kD);
  *e &= ~(kA | kD);
  invlpg(va);
  attempt(kWrite, va);
  AD("write-sets-both", kA | kD);
  *e &= ~(kA | kD);
  invlpg(va);
  attempt(kFetch, va);
  AD("fetch-sets-accessed", kA);
  *e &= ~(kA | kD | kW);
  invlpg(va);
  attempt(kWrite, va);
  check("ad/faulting-write-is-not-dirty", !(*e & kD));
  *e = (*e | kW) & ~(kA | kD);
  invlpg(va);
  asm volatile("lock orl $0, (%0)" ::"r"(va) : "memory");
  AD("locked-rmw-sets-both", kA | kD);
  for (int l = level + 1; l <= 4; ++l) check("ad/tables-are-accessed", *entry_of(boot_pml4, va, l) & kA);
  u64* upper = entry_of(boot_pml4, va, 4);
  *upper &= ~kA;
  invlpg(va);
  attempt(kRead, va);
  AD("again", kA | kD);
  check("ad/pml4e-again", *upper & kA);
}

static void smep_smap(void) {
  u64 user = kBase + (32ull << 39), super = user + 4096;
  page_a[0] = 0xC3;
  map(boot_pml4, user, (u64)page_a, 1, kU | kW);
  map(boot_pml4, super, (u64)page_a, 1, kW);
  if (cpuid_bit(7, 0, 'b', 7)) {
    write_cr4(read_cr4() | kCr4Smep);
    EXPECT_ROW("smep", "user-page", user, kGood, kGood, 0x11, kGood, kGood, kGood);
    EXPECT_ROW("smep", "supervisor-page", super, kGood, kGood, kGood, 5, 7, 0x15);
    write_cr4(read_cr4() & ~(Word)kCr4Smep);
    EXPECT_ROW("smep", "off", user, kGood, kGood, kGood, kGood, kGood, kGood);
  } else {
    skip("smep", "not in CPUID");
  }
  if (!cpuid_bit(7, 0, 'b', 20)) {
    skip("smap", "not in CPUID");
    return;
  }
  EXPECT_OK("smap/stac-without-cr4", "stac", :);
  asm volatile("clac");
  write_cr4(read_cr4() | kCr4Smap);
  EXPECT_ROW("smap", "user-page", user, 1, 3, kGood, kGood, kGood, kGood);
  EXPECT_ROW("smap", "supervisor-page", super, kGood, kGood, kGood, 5, 7, 0x15);
  static u64 value;
  CATCH(asm volatile("stac\n\tmovq (%1), %0\n\tmovq %0, (%1)\n\tclac" : "=&r"(value) : "r"(user) : "memory"));
  check_caught("smap/stac-allows", -1, 0);
  check_eq("smap/value", value, 0xC3C3C3C3C3C3C3C3ull);
  CATCH(asm volatile("stac\n\tmovq (%0), %%rax\n\tclac\n\t" MARK "movq (%0), %%rax" ::"r"(user)
                     : "rax", "memory"));
  check_caught("smap/clac-forbids-again", kPF, 1);
  CATCH(asm volatile("pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq\n\tmovq (%0), %%rax" ::"r"(user)
                     : "rax", "memory"));
  check_caught("smap/popf-ac-allows", -1, 0);
  asm volatile("clac");
  CATCH(asm volatile("stac\n\t" MARK "movq (%0), %%rax" ::"r"(user + 8192) : "rax", "memory"));
  check_caught("smap/absent-page", kPF, 0);
  check("smap/ac-in-saved-flags", caught.frame.flags & kAcFlag);
  write_cr4(read_cr4() & ~(Word)kCr4Smap);
}

static void nx_disabled(void) {
  u64 va = kBase + (40ull << 39);
  page_a[0] = 0xC3;
  u64* e = map(boot_pml4, va, (u64)page_a, 1, kU | kW | kNx);
  wrmsr(kMsrEfer, rdmsr(kMsrEfer) & ~0x800ull);
  write_cr3(read_cr3());
  EXPECT_ROW("nxe-off", "nx-bit-is-reserved", va, 9, 0xB, 9, 0xD, 0xF, 0xD);
  *e &= ~(kNx | kP);
  invlpg(va);
  EXPECT_ROW("nxe-off", "absent", va, 0, 2, 0, 4, 6, 4);
  wrmsr(kMsrEfer, rdmsr(kMsrEfer) | 0x800ull);
  write_cr3(read_cr3());
  *e |= kNx | kP;
  EXPECT_ROW("nxe-on", "nx", va, kGood, kGood, 0x11, kGood, kGood, 0x15);
}

static u64 load(u64 va) { return *(volatile u64*)va; }

static void invalidation(void) {
  u64 va = kBase + (48ull << 39);
  *(u64*)page_a = 0xA;
  *(u64*)page_b = 0xB;
  u64* e = map(boot_pml4, va, (u64)page_a, 1, kW);
  check_eq("tlb/first", load(va), 0xA);
  u32 stale = 0;
  for (int i = 0; i < 200; ++i) {
    u64 to = i & 1 ? (u64)page_a : (u64)page_b;
    *e = to | kP | kW;
    invlpg(va + 8 * (u64)(i & 63));
    if (load(va) != (i & 1 ? 0xA : 0xB)) ++stale;
  }
  check_eq("tlb/remap-and-invlpg", stale, 0);
  for (int i = 0; i < 100; ++i) {
    *e = (i & 1 ? (u64)page_a : (u64)page_b) | kP | kW;
    write_cr3(read_cr3());
    if (load(va) != (i & 1 ? 0xA : 0xB)) ++stale;
  }
  check_eq("tlb/remap-and-mov-cr3", stale, 0);
  write_cr4(read_cr4() | kCr4Pge);
  for (int i = 0; i < 50; ++i) {
    *e = (i & 1 ? (u64)page_a : (u64)page_b) | kP | kW | kG;
    invlpg(va);
    if (load(va) != (i & 1 ? 0xA : 0xB)) ++stale;
  }
  check_eq("tlb/global-and-invlpg", stale, 0);
  for (int i = 0; i < 50; ++i) {
    *e = (i & 1 ? (u64)page_a : (u64)page_b) | kP | kW | kG;
    write_cr4(read_cr4() ^ kCr4Pge);
    if (load(va) != (i & 1 ? 0xA : 0xB)) ++stale;
  }
  check_eq("tlb/global-and-pge-toggle", stale, 0);
  write_cr4(read_cr4() & ~(Word)kCr4Pge);
  /* A page that was absent and becomes present needs no invalidation; nor one that gains rights. */
  *e = 0;
  invlpg(va);
  check_eq("tlb/absent", attempt(kRead, va), 0);
  *e = (u64)page_a | kP;
  check_eq("tlb/now-present", load(va), 0xA);
  check_eq("tlb/read-only", attempt(kWrite, va), 3);
  *e |= kW;
  check_eq("tlb/now-writable", attempt(kWrite, va), kGood);
  *(u64*)page_a = 0xA;
  /* One table less: the entry above changes, every page below is another. */
  u64* pde = entry_of(boot_pml4, va, 2);
  u64 saved = *pde;
  u64* other = new_page();
  other[0] = (u64)page_b | kP | kW;
  *pde = (u64)other | kP | kW | kU;
  invlpg(va);
  check_eq("tlb/other-page-table", load(va), 0xB);
  *pde = saved;
  invlpg(va);
  check_eq("tlb/first-page-table-again", load(va), 0xA);
  /* invlpg anywhere inside a large page drops it. */
  u64 large = kBase + (49ull << 39);
  u64* big = map(boot_pml4, large, 0, 2, kW);
  u64 at = large + ((u64)page_a & 0x1FFFFF);
  *big = ((u64)page_a & ~0x1FFFFFull) | kP | kW | kPs;
  invlpg(large);
  check_eq("tlb/large-page", load(at), 0xA);
  *big = ((u64)page_a & ~0x1FFFFFull) + 0x200000 + kP + kW + kPs;
  invlpg(large + 0x12345);
  check_eq("tlb/large-page-moved", load(at), *(volatile u64*)((u64)page_a + 0x200000));
  *big = ((u64)page_a & ~0x1FFFFFull) | kP | kW | kPs;
  write_cr3(read_cr3());
  check_eq("tlb/large-page-back", load(at), 0xA);
  EXPECT_OK("tlb/invlpg-non-canonical", "invlpg (%0)", : "r"(1ull << 63));
  EXPECT_OK("tlb/prefetch-of-nothing", "prefetcht0 (%0)", : "r"(kBase - 4096));
  EXPECT_FAULT("tlb/clflush-of-nothing", kPF, 0, "clflush (%0)", : "r"(kBase - 4096));
}

static void high_half(void) {
  u64 va = 0xFFFF900000000000ull, last = 0xFFFFFFFFFFFFF000ull;
  *(u64*)page_a = 0xA;
  map(boot_pml4, va, (u64)page_a, 1, kW);
  map(boot_pml4, last, (u64)page_a, 1, kW);
  check_eq("high/value", load(va), 0xA);
  check_eq("high/last-page", load(last), 0xA);
  check_eq("high/absent", attempt(kRead, va + 4096), 0);
  check_eq("high/user", attempt(kUserRead, va), 5);
}

/* A user page and the same frame as a supervisor page, used in turn: privilege is part of every check. */
static void alternate(void) {
  u64 va = kBase + (50ull << 39);
  map(boot_pml4, va, (u64)page_a, 1, kW);
  u32 wrong = 0;
  for (int i = 0; i < 20; ++i) {
    if (attempt(kRead, va) != kGood) ++wrong;
    if (attempt(kUserRead, va) != 5) ++wrong;
    if (attempt(kWrite, va) != kGood) ++wrong;
    if (attempt(kUserWrite, va) != 7) ++wrong;
  }
  check_eq("alternate/rings", wrong, 0);
}

void program(void) {
  rights("4k", 1);
  rights("2m", 2);
  if (cpuid_bit(0x80000001u, 0, 'd', 26)) {
    rights("1g", 3);
  } else {
    skip("1g", "not in CPUID");
  }
  upper_levels();
  accessed_dirty("ad-4k", 1);
  accessed_dirty("ad-2m", 2);
  smep_smap();
  nx_disabled();
  invalidation();
  high_half();
  alternate();
}
