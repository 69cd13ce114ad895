/* Model-specific registers: which exist, what they keep and refuse; the time-stamp counter
 * (SDM volume 4, 2.1; volume 3, 11.11, 11.12, 17.17). */
#include "runtime.h"

const char program_name[] = "msr";

USER_CODE static void user_rdtsc(void) { asm volatile("rdtsc" ::: "eax", "edx"); }
USER_CODE static void user_wrmsr(void) { asm volatile("wrmsr" ::"c"(0x10), "a"(0), "d"(0)); }

static void unknown(void) {
  EXPECT_FAULT("unknown/rdmsr", kGP, 0, "rdmsr", : "c"(0x12345678) : "rax", "rdx");
  EXPECT_FAULT("unknown/wrmsr", kGP, 0, "wrmsr", : "c"(0x12345678), "a"(0), "d"(0));
  EXPECT_FAULT("unknown/hypervisor-range", kGP, 0, "rdmsr", : "c"(0x4FFFFFFF) : "rax", "rdx");
  run_user(user_wrmsr);
  check_caught("user/wrmsr", kGP, 0);
}

static void efer(void) {
  u64 v = rdmsr(kMsrEfer);
  check_eq("efer/lma-lme-nxe", v & 0xD00, 0xD00);
  EXPECT_FAULT("efer/reserved", kGP, 0, "wrmsr", : "c"(kMsrEfer), "a"((u32)v | 2), "d"(0));
  EXPECT_FAULT("efer/reserved-high", kGP, 0, "wrmsr", : "c"(kMsrEfer), "a"((u32)v), "d"(1));
  if (!oracle_fails("efer/lme-off-while-paging")) {
    EXPECT_FAULT("efer/lme-off-while-paging", kGP, 0, "wrmsr",
                 : "c"(kMsrEfer), "a"((u32)v & ~0x100u), "d"(0));
  }
  check_eq("efer/unchanged", rdmsr(kMsrEfer), v);
  wrmsr(kMsrEfer, v & ~0x400ull);
  check_eq("efer/lma-is-read-only", rdmsr(kMsrEfer) & 0x400, 0x400);
}

static void memory_types(void) {
  if (cpuid_bit(1, 0, 'd', 16)) {
    check_eq("pat/initial", rdmsr(kMsrPat), 0x0007040600070406ull);
    wrmsr(kMsrPat, 0x0007010600070106ull);
    check_eq("pat/kept", rdmsr(kMsrPat), 0x0007010600070106ull);
    EXPECT_FAULT("pat/reserved-type-2", kGP, 0, "wrmsr", : "c"(kMsrPat), "a"(2), "d"(0));
    EXPECT_FAULT("pat/reserved-type-8", kGP, 0, "wrmsr", : "c"(kMsrPat), "a"(0), "d"(0x08000000));
    wrmsr(kMsrPat, 0x0007040600070406ull);
  } else {
    skip("pat", "not in CPUID");
  }
  if (!cpuid_bit(1, 0, 'd', 12)) {
    skip("mtrr", "not in CPUID");
    return;
  }
  u64 capability = rdmsr(0xFE);
  check("mtrr/variable-count", (capability & 0xFF) >= 4 && (capability & 0xFF) <= 32);
  u64 base = rdmsr(0x200), mask = rdmsr(0x201);
  wrmsr(0x200, 0xC0000006);
  wrmsr(0x201, 0xFC0000000ull | 0x800);
  check_eq("mtrr/base-kept", rdmsr(0x200), 0xC0000006);
  check_eq("mtrr/mask-kept", rdmsr(0x201), 0xFC0000000ull | 0x800);
  wrmsr(0x200, base);
  wrmsr(0x201, mask);
  u64 type = rdmsr(0x2FF);
  wrmsr(0x2FF, 0xC06);
  check_eq("mtrr/default-type-kept", rdmsr(0x2FF), 0xC06);
  wrmsr(0x2FF, type);
  if (capability & 0x100) {
    u64 fixed = rdmsr(0x250);
    wrmsr(0x250, 0x0606060606060606ull);
    check_eq("mtrr/fixed-kept", rdmsr(0x250), 0x0606060606060606ull);
    wrmsr(0x250, fixed);
  }
}

static void time_stamp(void) {
  u64 first = rdtsc(), second = rdtsc();
  u32 backwards = 0;
  for (int i = 0; i < 1000; ++i) {
    u64 now = rdtsc();
    if (now < second) ++backwards;
    second = now;
  }
  check("tsc/advances", second > first);
  check_eq("tsc/never-backwards", backwards, 0);
  wrmsr(kMsrTsc, 1ull << 50);
  u64 set = rdtsc();
  check("tsc/written", set >= 1ull << 50 && set < (1ull << 50) + (1ull << 40));
  u64 read = rdmsr(kMsrTsc), after = rdtsc();
  check("tsc/rdmsr-agrees-with-rdtsc", read >= set && read <= after);
  if (cpuid_bit(7, 0, 'b', 1)) {
    u64 adjust = rdmsr(0x3B);
    wrmsr(kMsrTsc, rdtsc() + (1ull << 45));
    check("tsc-adjust/follows-a-write", rdmsr(0x3B) - adjust >= (1ull << 45) - (1ull << 40));
    wrmsr(0x3B, 0);
    check("tsc-adjust/moves-the-counter", rdtsc() < 1ull << 50);
  } else {
    skip("tsc-adjust", "not in CPUID");
  }
}

static void time_stamp_access(void) {
  run_user(user_rdtsc);
  check_caught("tsc/in-ring-3", 0x80, 0);
  write_cr4(read_cr4() | kCr4Tsd);
  run_user(user_rdtsc);
  check_caught("tsc/in-ring-3-with-tsd", kGP, 0);
  EXPECT_OK("tsc/in-ring-0-with-tsd", "rdtsc", : : "rax", "rdx");
  write_cr4(read_cr4() & ~(Word)kCr4Tsd);
  if (!cpuid_bit(0x80000001u, 0, 'd', 27)) {
    skip("tsc-aux", "not in CPUID");
    return;
  }
  u32 aux;
  wrmsr(kMsrTscAux, 0xABCD1234);
  asm volatile("rdtscp" : "=c"(aux)::"rax", "rdx");
  check_eq("tsc-aux/rdtscp", aux, 0xABCD1234);
  if (cpuid_bit(7, 0, 'c', 22)) {
    u64 pid;
    asm volatile("rdpid %0" : "=r"(pid));
    check_eq("tsc-aux/rdpid", pid, 0xABCD1234);
  } else {
    skip("rdpid", "not in CPUID");
  }
}

void program(void) {
  unknown();
  efer();
  memory_types();
  time_stamp();
  time_stamp_access();
  check_eq("apic-base/enabled-at-fee00000", rdmsr(kMsrApicBase) & 0xFFFFFF800ull, 0xFEE00800);
  wrmsr(kMsrKernelGsBase, 0x123456789ull);
  check_eq("kernel-gs-base/kept", rdmsr(kMsrKernelGsBase), 0x123456789ull);
}
