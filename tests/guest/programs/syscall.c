/* SYSCALL and SYSRET, SYSENTER and SYSEXIT, SWAPGS, FS and GS bases (SDM volume 2; volume 3, 5.8.7 and 5.8.8;
 * APM volume 2, 6.1). */
#include "paging.h"

const char program_name[] = "syscall";

/* What the entry code (syscall_code.S) saw. */
struct Seen {
  u64 rcx, r11, rsp, flags, cs, ss, count;
};
extern volatile struct Seen seen;
void syscall_entry(void);
void syscall_entry_compat(void);
void sysenter_entry(void);
void user_syscall64(void), user_syscall64_next(void);
void user_syscall32(void), user_syscall32_next(void);
void user_sysenter32(void);
void user_sysenter64(void);
void user_report(void);
void sysret_here(Word ip, Word flags);
void sysretl_here(Word ip, Word flags);
void sysexitq_here(Word ip, Word sp);

USER_CODE static void user_wrgsbase(void) {
  asm volatile("wrgsbase %0\n\trdgsbase %%rax" ::"r"(0x1234567ull) : "rax");
}
USER_CODE static void user_swapgs(void) { asm volatile("swapgs"); }
USER_CODE static void user_sysret(void) { asm volatile("sysretq"); }
USER_CODE static void user_sysexit(void) { asm volatile("sysexitl"); }
USER_CODE static void user_plain_syscall(void) { asm volatile("syscall" ::: "rcx", "r11"); }
static const u64 kNonCanonical = 0x0000800000000000ull;

static void syscall64(void) {
  EXPECT_FAULT("sce-off/syscall", kUD, 0, "syscall", : : "rcx", "r11");
  EXPECT_FAULT("sce-off/sysret", kUD, 0, "sysretq", :);
  wrmsr(kMsrEfer, rdmsr(kMsrEfer) | 1);
  /* SYSCALL: CS 08, SS 10. SYSRET: 18 + 16 for 64-bit code, 18 for compatibility, SS 18 + 8. */
  wrmsr(kMsrStar, (u64)(0x18 | 3) << 48 | (u64)kCs << 32);
  EXPECT_FAULT("msr/lstar-non-canonical", kGP, 0, "wrmsr", : "c"(kMsrLstar), "a"(0), "d"(0x8000));
  wrmsr(kMsrLstar, (Word)syscall_entry);
  wrmsr(kMsrCstar, (Word)syscall_entry_compat);
  wrmsr(kMsrFmask, kTf | kDf | kIf | kAcFlag);
  check_eq("msr/star", rdmsr(kMsrStar), (u64)(0x18 | 3) << 48 | (u64)kCs << 32);
  check_eq("msr/lstar", rdmsr(kMsrLstar), (Word)syscall_entry);
  check_eq("msr/fmask", rdmsr(kMsrFmask), kTf | kDf | kIf | kAcFlag);

  run_user_with((Word)user_syscall64, kUserCs64, kUserDs, 2 | kCf | kDf | kAcFlag);
  check_caught("syscall64/returns", 0x80, 0);
  check_eq("syscall64/rcx-is-next", seen.rcx, (Word)user_syscall64_next);
  check_eq("syscall64/r11-is-flags", seen.r11 & (kCf | kDf | kAcFlag | 2), kCf | kDf | kAcFlag | 2);
  check_eq("syscall64/fmask-clears", seen.flags & (kDf | kIf | kTf | kAcFlag | kCf), kCf);
  check_eq("syscall64/cs", seen.cs, kCs);
  check_eq("syscall64/ss", seen.ss, kCs + 8);
  check("syscall64/rsp-kept", seen.rsp > (Word)user_stack && seen.rsp < (Word)user_stack + sizeof user_stack);
  check_eq("sysret64/cs", caught.frame.cs, 0x2B);
  check_eq("sysret64/ss", caught.frame.ss, 0x23);
  check_eq("sysret64/flags", caught.frame.flags & (kCf | kDf | kAcFlag | kRf), kCf | kDf | kAcFlag);
  check_eq("sysret64/result", caught.frame.ax, 0x5CA11);
  check_eq("syscall64/count", seen.count, 1);

  run_user_with((Word)user_syscall32, kUserCs32, kUserDs, 2);
  if (caught.vector == kUD) {
    skip("syscall32", "this processor has SYSCALL in 64-bit mode only");
  } else {
    check_caught("syscall32/returns", 0x80, 0);
    check_eq("syscall32/rcx-is-next", seen.rcx, (Word)user_syscall32_next);
    check_eq("syscall32/through-cstar", seen.count, 0x101);
    check_eq("sysretl/cs", caught.frame.cs, 0x1B);
    check_eq("sysretl/ss", caught.frame.ss, 0x23);
  }
  if (catch_begin() == 0) sysretl_here((Word)user_report, 2);
  check_caught("sysretl/direct", 0x80, 0);
  check_eq("sysretl/direct-cs", caught.frame.cs, 0x1B);
  if (catch_begin() == 0) sysret_here((Word)user_report, 2 | kNt);
  check_caught("sysretq/direct", 0x80, 0);
  if (!oracle_fails("sysretq/bad-flags-and-address")) {
    if (catch_begin() == 0) sysret_here((Word)user_report, 2 | kRf | kVm | kNt);
    check_caught("sysretq/rf-and-vm", 0x80, 0);
    check_eq("sysretq/rf-and-vm-are-dropped", caught.frame.flags & (kRf | kVm), 0);
    if (catch_begin() == 0) sysret_here(kNonCanonical, 2);
    check_caught("sysretq/non-canonical", kGP, 0);
    check_eq("sysretq/non-canonical-in-ring-0", caught.frame.cs, kCs);
  }
  run_user(user_sysret);
  check_caught("sysret/in-ring-3", kGP, 0);
  wrmsr(kMsrEfer, rdmsr(kMsrEfer) & ~1ull);
  run_user(user_plain_syscall);
  check_caught("sce-off-again/syscall", kUD, 0);
}

static void sysenter(void) {
  if (!cpuid_bit(1, 0, 'd', 11)) {
    skip("sysenter", "not in CPUID");
    return;
  }
  static u8 stack[4096] __attribute__((aligned(16)));
  wrmsr(kMsrSysenterCs, 0);
  run_user_with((Word)user_sysenter32, kUserCs32, kUserDs, 2);
  if (caught.vector == kUD) {
    skip("sysenter", "not in long mode on this processor");
    return;
  }
  check_caught("sysenter/cs-null", kGP, 0);
  EXPECT_FAULT("sysexit/cs-null", kGP, 0, "sysexitl", :);
  wrmsr(kMsrSysenterCs, kCs);
  wrmsr(kMsrSysenterEsp, (Word)(stack + sizeof stack));
  EXPECT_FAULT("msr/sysenter-eip-non-canonical", kGP, 0, "wrmsr",
               : "c"(kMsrSysenterEip), "a"(0), "d"(0x8000));
  wrmsr(kMsrSysenterEip, (Word)sysenter_entry);
  check_eq("msr/sysenter-cs", rdmsr(kMsrSysenterCs), kCs);
  check_eq("msr/sysenter-esp", rdmsr(kMsrSysenterEsp), (Word)(stack + sizeof stack));
  check_eq("msr/sysenter-eip", rdmsr(kMsrSysenterEip), (Word)sysenter_entry);
  seen.count = 0;
  run_user_with((Word)user_sysenter32, kUserCs32, kUserDs, 2 | kCf);
  check_caught("sysenter32/returns", 0x80, 0);
  check_eq("sysenter32/count", seen.count, 1);
  check_eq("sysenter32/rsp", seen.rsp, (Word)(stack + sizeof stack));
  check_eq("sysenter32/cs", seen.cs, kCs);
  check_eq("sysenter32/ss", seen.ss, kCs + 8);
  check_eq("sysenter32/if-and-cf", seen.flags & (kIf | kCf | kVm), kCf);
  check_eq("sysexit32/cs", caught.frame.cs, 0x1B);
  check_eq("sysexit32/ss", caught.frame.ss, 0x23);
  run_user((void (*)(void))user_sysenter64);
  check_caught("sysenter64/returns", 0x80, 0);
  check_eq("sysenter64/count", seen.count, 2);
  if (catch_begin() == 0) sysexitq_here((Word)user_report, (Word)user_stack + 4096);
  check_caught("sysexitq/direct", 0x80, 0);
  check_eq("sysexitq/cs", caught.frame.cs, 0x2B);
  check_eq("sysexitq/ss", caught.frame.ss, 0x33);
  check_eq("sysexitq/rsp", caught.frame.sp, (Word)user_stack + 4096);
  run_user(user_sysexit);
  check_caught("sysexit/in-ring-3", kGP, 0);
}

static void bases(void) {
  static u64 one = 0x1111, two = 0x2222;
  u64 value;
  wrmsr(kMsrGsBase, (Word)&one);
  wrmsr(kMsrKernelGsBase, (Word)&two);
  asm volatile("movq %%gs:0, %0" : "=r"(value)::"memory");
  check_eq("gs/base-msr", value, 0x1111);
  asm volatile("swapgs\n\tmovq %%gs:0, %0" : "=r"(value)::"memory");
  check_eq("gs/swapgs", value, 0x2222);
  check_eq("gs/swapgs-msr", rdmsr(kMsrKernelGsBase), (Word)&one);
  asm volatile("swapgs\n\tmovq %%gs:0, %0" : "=r"(value)::"memory");
  check_eq("gs/swapgs-back", value, 0x1111);
  wrmsr(kMsrFsBase, (Word)&two);
  asm volatile("movq %%fs:0, %0" : "=r"(value)::"memory");
  check_eq("fs/base-msr", value, 0x2222);
  wrmsr(kMsrFsBase, (Word)&two - 0x1000);
  asm volatile("movq %%fs:0x1000, %0" : "=r"(value)::"memory");
  check_eq("fs/displacement", value, 0x2222);
  asm volatile("movq %%fs:(%1), %0" : "=r"(value) : "r"(0x1000ull) : "memory");
  check_eq("fs/register", value, 0x2222);
  asm volatile(".byte 0x64\n\tleaq 0x10(%1), %0" : "=r"(value) : "r"(0x20ull));
  check_eq("fs/lea-ignores-the-base", value, 0x30);
  wrmsr(kMsrFsBase, 0xFFFF800000000000ull);
  check_eq("fs/high-base", rdmsr(kMsrFsBase), 0xFFFF800000000000ull);
  EXPECT_FAULT("fs/msr-non-canonical", kGP, 0, "wrmsr", : "c"(kMsrFsBase), "a"(0), "d"(0x8000));
  EXPECT_FAULT("gs/kernel-msr-non-canonical", kGP, 0, "wrmsr", : "c"(kMsrKernelGsBase), "a"(0), "d"(0x8000));
  wrmsr(kMsrFsBase, 0x1000);
  EXPECT_FAULT("fs/linear-address-wraps-to-non-canonical", kGP, 0, "movq %%fs:(%0), %%rax",
               : "r"(kNonCanonical)
               : "rax");
  /* Loading a selector replaces the base by the descriptor's 32-bit one. */
  gdt[kFreeSel / 8] = descriptor((u32)(Word)&one, 0xFFFFF, 0x93, 0xC);
  asm volatile("mov %w1, %%fs\n\tmovq %%fs:0, %0" : "=r"(value) : "r"(kFreeSel) : "memory");
  check_eq("fs/selector-base", value, 0x1111);
  check_eq("fs/selector-base-in-msr", rdmsr(kMsrFsBase), (Word)&one);
  asm volatile("mov %w0, %%gs" ::"r"(kFreeSel));
  check_eq("gs/selector-base-in-msr", rdmsr(kMsrGsBase), (Word)&one);
  wrmsr(kMsrGsBase, (Word)&two);
  asm volatile("mov %%gs, %0" : "=r"(value));
  check_eq("gs/msr-keeps-selector", value & 0xFFFF, kFreeSel);
  asm volatile("mov %w0, %%fs\n\tmov %w0, %%gs" ::"r"(0));
}

static void fsgsbase(void) {
  EXPECT_FAULT("fsgsbase/off-rdfsbase", kUD, 0, "rdfsbase %%rax", : : "rax");
  EXPECT_FAULT("fsgsbase/off-wrgsbase", kUD, 0, "wrgsbase %%rax", :);
  if (!cpuid_bit(7, 0, 'b', 0)) {
    skip("fsgsbase", "not in CPUID");
    return;
  }
  write_cr4(read_cr4() | kCr4Fsgsbase);
  u64 value;
  asm volatile("wrfsbase %1\n\trdfsbase %0" : "=r"(value) : "r"(0x123456789ull));
  check_eq("fsgsbase/fs", value, 0x123456789ull);
  check_eq("fsgsbase/fs-msr", rdmsr(kMsrFsBase), 0x123456789ull);
  asm volatile("wrgsbase %1\n\trdgsbase %0" : "=r"(value) : "r"(0xFFFFFFFF80000000ull));
  check_eq("fsgsbase/gs", value, 0xFFFFFFFF80000000ull);
  asm volatile("wrfsbase %k1\n\trdfsbase %0" : "=r"(value) : "r"(0xFFFFFFFF80000000ull));
  check_eq("fsgsbase/32-bit-write-zero-extends", value, 0x80000000ull);
  asm volatile("movq $-1, %0\n\trdfsbase %k0" : "=&r"(value));
  check_eq("fsgsbase/32-bit-read-zero-extends", value, 0x80000000ull);
  EXPECT_FAULT("fsgsbase/non-canonical", kGP, 0, "wrfsbase %0", : "r"(kNonCanonical));
  run_user(user_wrgsbase);
  check_caught("fsgsbase/in-ring-3", 0x80, 0);
  check_eq("fsgsbase/ring-3-value", caught.frame.ax, 0x1234567);
  write_cr4(read_cr4() & ~(Word)kCr4Fsgsbase);
  run_user(user_wrgsbase);
  check_caught("fsgsbase/off-in-ring-3", kUD, 0);
  run_user(user_swapgs);
  check_caught("swapgs/in-ring-3", kGP, 0);
}

void program(void) {
  syscall64();
  sysenter();
  bases();
  fsgsbase();
}
