/* The switches of the floating-point and vector state: CR0.TS, EM and MP, FXSAVE, XSAVE and XCR0, AVX on and
 * off, MXCSR (SDM volume 1, chapters 8, 10.5, 13; volume 3, 2.5 and chapter 13). */
#include "paging.h"

const char program_name[] = "fpu";

static u8 area[4096] __attribute__((aligned(64))), other[4096] __attribute__((aligned(64)));

static void task_switched(void) {
  Word cr0 = read_cr0();
  write_cr0(cr0 | kCr0Ts);
  EXPECT_FAULT("ts/x87", kNM, 0, "fnop", :);
  EXPECT_FAULT("ts/sse", kNM, 0, "addps %%xmm0, %%xmm0", :);
  EXPECT_FAULT("ts/fxsave", kNM, 0, "fxsave (%0)", : "r"(area) : "memory");
  EXPECT_FAULT("ts/fxrstor", kNM, 0, "fxrstor (%0)", : "r"(area) : "memory");
  EXPECT_FAULT("ts/ldmxcsr", kNM, 0, "ldmxcsr (%0)", : "r"(area) : "memory");
  EXPECT_FAULT("ts/fwait-with-mp", kNM, 0, "fwait", :);
  EXPECT_OK("ts/integer-is-fine", "addq $1, %%rax", : : "rax", "cc");
  EXPECT_OK("ts/movnti-is-fine", "movnti %%eax, (%0)", : "r"(area) : "memory");
  asm volatile("clts");
  check("ts/clts", !(read_cr0() & kCr0Ts));
  EXPECT_OK("ts/x87-after-clts", "fninit", :);
  write_cr0(cr0 | kCr0Em);
  EXPECT_FAULT("em/x87", kNM, 0, "fnop", :);
  EXPECT_FAULT("em/sse", kUD, 0, "addps %%xmm0, %%xmm0", :);
  write_cr0(cr0);
  asm volatile("smsw %%ax\n\torb $8, %%al\n\tlmsw %%ax" ::: "rax", "cc");
  EXPECT_FAULT("lmsw/sets-ts", kNM, 0, "fnop", :);
  asm volatile("movw $0, %%ax\n\tlmsw %%ax" ::: "rax");
  check("lmsw/keeps-pe-clears-ts", (read_cr0() & (kCr0Pe | kCr0Ts)) == kCr0Pe);
  write_cr0(cr0);
}

static void fxsave(void) {
  static const u32 kValue[4] = {1, 2, 3, 4};
  static u32 back[4];
  u32 mxcsr = 0x1FC0;
  asm volatile("fninit\n\tfld1\n\tfldz\n\tmovups %0, %%xmm5\n\tldmxcsr %1" ::"m"(kValue), "m"(mxcsr));
  asm volatile("fxsave64 (%0)" ::"r"(area) : "memory");
  check_eq("fxsave/fcw", *(u16*)area, 0x37F);
  check_eq("fxsave/top", *(u16*)(area + 2) >> 11 & 7, 6);
  check_eq("fxsave/abridged-tags", area[4], 0xC0);
  check_eq("fxsave/mxcsr", *(u32*)(area + 24), 0x1FC0);
  check("fxsave/st1-is-one", *(u64*)(area + 48) == 1ull << 63 && *(u16*)(area + 56) == 0x3FFF);
  check("fxsave/xmm5", same(area + 160 + 80, kValue, 16));
  asm volatile("fninit\n\txorps %%xmm5, %%xmm5\n\tfxrstor64 (%1)\n\tmovups %%xmm5, %0"
               : "=m"(back)
               : "r"(area)
               : "memory");
  check("fxrstor/xmm5", same(back, kValue, 16));
  u16 status;
  asm volatile("fnstsw %0" : "=m"(status));
  check_eq("fxrstor/top", status >> 11 & 7, 6);
  EXPECT_FAULT("fxsave/unaligned", kGP, 0, "fxsave 8(%0)", : "r"(area) : "memory");
  *(u32*)(area + 24) = 0xFFFF0000;
  EXPECT_FAULT("fxrstor/reserved-mxcsr", kGP, 0, "fxrstor (%0)", : "r"(area) : "memory");
  u32 bad = 0x80000000;
  EXPECT_FAULT("ldmxcsr/reserved", kGP, 0, "ldmxcsr %0", : "m"(bad));
  mxcsr = 0x1F80;
  asm volatile("ldmxcsr %0" ::"m"(mxcsr));
  EXPECT_FAULT("movaps/unaligned", kGP, 0, "movaps 8(%0), %%xmm0", : "r"(area));
  EXPECT_OK("movups/unaligned", "movups 8(%0), %%xmm0", : "r"(area));
}

static void xsetbv(u32 index, u64 v) {
  asm volatile("xsetbv" ::"c"(index), "a"((u32)v), "d"((u32)(v >> 32)));
}
static u64 xgetbv(u32 index) {
  u32 lo, hi;
  asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
  return lo | (u64)hi << 32;
}
USER_CODE static void user_xsetbv(void) { asm volatile("xsetbv" ::"c"(0), "a"(3), "d"(0)); }
USER_CODE static void user_xgetbv(void) { asm volatile("xgetbv" ::"c"(0) : "eax", "edx"); }

static const u64 kVector[4] = {1, 2, 3, 4};
static u64 vector_back[4];

static void avx_state(void) {
  asm volatile("vmovups %0, %%ymm7\n\txsave64 (%1)" ::"m"(kVector), "r"(area), "a"(7), "d"(0) : "memory");
  check_eq("xsave/header", *(u64*)(area + 512) & 4, 4);
  check("xsave/upper-half", same(area + 576 + 16 * 7, kVector + 2, 16));
  asm volatile("vzeroall\n\txrstor64 (%1)\n\tvmovups %%ymm7, %0"
               : "=m"(vector_back)
               : "r"(area), "a"(7), "d"(0)
               : "memory");
  check("xrstor/ymm7", same(vector_back, kVector, 32));
  asm volatile("xrstor64 (%1)\n\tvmovups %%ymm7, %0"
               : "=m"(vector_back)
               : "r"(area), "a"(3), "d"(0)
               : "memory");
  check("xrstor/unrequested-part-is-kept", same(vector_back, kVector, 32));
  *(u64*)(area + 512) = 3;
  asm volatile("xrstor64 (%1)\n\tvmovups %%ymm7, %0"
               : "=m"(vector_back)
               : "r"(area), "a"(7), "d"(0)
               : "memory");
  check("xrstor/absent-part-is-initial", vector_back[0] == 1 && vector_back[2] == 0 && vector_back[3] == 0);
  *(u64*)(area + 512) = 7 | 1ull << 62;
  EXPECT_FAULT("xrstor/header-bit-not-in-xcr0", kGP, 0, "xrstor (%0)",
               : "r"(area), "a"(7), "d"(0)
               : "memory");
  *(u64*)(area + 512) = 7;
  *(u64*)(area + 528) = 1;
  EXPECT_FAULT("xrstor/reserved-header", kGP, 0, "xrstor (%0)", : "r"(area), "a"(7), "d"(0) : "memory");
  EXPECT_FAULT("xsave/unaligned", kGP, 0, "xsave 16(%0)", : "r"(area), "a"(7), "d"(0) : "memory");
  asm volatile("vmovups %0, %%ymm7" ::"m"(kVector));
  if (cpuid_bit(0xD, 1, 'a', 0)) {
    asm volatile("xsaveopt64 (%0)" ::"r"(other), "a"(7), "d"(0) : "memory");
    check("xsaveopt/upper-half", same(other + 576 + 16 * 7, kVector + 2, 16));
  } else {
    skip("xsaveopt", "not in CPUID");
  }
  if (cpuid_bit(0xD, 1, 'a', 1)) {
    memset(other, 0, 1024);
    asm volatile("xsavec64 (%0)" ::"r"(other), "a"(7), "d"(0) : "memory");
    check_eq("xsavec/compacted", *(u64*)(other + 520), 1ull << 63 | 7);
    check("xsavec/in-use", (*(u64*)(other + 512) & 4) == 4);
    EXPECT_OK("xsavec/restores", "vzeroall\n\txrstor64 (%0)", : "r"(other), "a"(7), "d"(0) : "memory");
    asm volatile("vmovups %%ymm7, %0" : "=m"(vector_back));
    check("xsavec/round-trip", same(vector_back, kVector, 32));
  } else {
    skip("xsavec", "not in CPUID");
  }
  asm volatile("vmovups %0, %%ymm7" ::"m"(kVector));
  write_cr0(read_cr0() | kCr0Ts);
  EXPECT_FAULT("ts/avx", kNM, 0, "vaddps %%ymm0, %%ymm0, %%ymm0", :);
  EXPECT_FAULT("ts/xsave", kNM, 0, "xsave (%0)", : "r"(area), "a"(7), "d"(0) : "memory");
  asm volatile("clts");
  xsetbv(0, 3);
  EXPECT_FAULT("avx/off-again", kUD, 0, "vmovups %%ymm0, %%ymm1", :);
  EXPECT_OK("avx/sse-still-works", "addps %%xmm0, %%xmm0", :);
  xsetbv(0, 7);
  asm volatile("vmovups %%ymm7, %0" : "=m"(vector_back));
  check("avx/upper-half-survived-being-off", vector_back[2] == 3 && vector_back[3] == 4);
}

static void xsave(void) {
  EXPECT_FAULT("osxsave-off/xgetbv", kUD, 0, "xgetbv", : "c"(0) : "rax", "rdx");
  EXPECT_FAULT("osxsave-off/xsave", kUD, 0, "xsave (%0)", : "r"(area) : "memory");
  EXPECT_FAULT("osxsave-off/avx", kUD, 0, "vaddps %%ymm0, %%ymm0, %%ymm0", :);
  if (!cpuid_bit(1, 0, 'c', 26)) {
    skip("xsave", "not in CPUID");
    return;
  }
  check("cpuid/osxsave-off", !cpuid_bit(1, 0, 'c', 27));
  write_cr4(read_cr4() | kCr4Osxsave);
  check("cpuid/osxsave-follows-cr4", cpuid_bit(1, 0, 'c', 27));
  static bool avx;
  avx = cpuid_bit(1, 0, 'c', 28);
  check_eq("xcr0/initial", xgetbv(0), 1);
  EXPECT_FAULT("avx/off-in-xcr0", kUD, 0, "vaddps %%ymm0, %%ymm0, %%ymm0", :);
  EXPECT_FAULT("xsetbv/without-x87", kGP, 0, "xsetbv", : "c"(0), "a"(2), "d"(0));
  EXPECT_FAULT("xsetbv/zero", kGP, 0, "xsetbv", : "c"(0), "a"(0), "d"(0));
  EXPECT_FAULT("xsetbv/avx-without-sse", kGP, 0, "xsetbv", : "c"(0), "a"(5), "d"(0));
  EXPECT_FAULT("xsetbv/unknown-bit", kGP, 0, "xsetbv", : "c"(0), "a"(3), "d"(0x40000000));
  EXPECT_FAULT("xsetbv/xcr1", kGP, 0, "xsetbv", : "c"(1), "a"(3), "d"(0));
  EXPECT_FAULT("xgetbv/xcr5", kGP, 0, "xgetbv", : "c"(5) : "rax", "rdx");
  run_user(user_xsetbv);
  check_caught("xsetbv/in-ring-3", kGP, 0);
  run_user(user_xgetbv);
  check_caught("xgetbv/in-ring-3", 0x80, 0);
  xsetbv(0, avx ? 7 : 3);
  check_eq("xcr0/set", xgetbv(0), avx ? 7 : 3);
  check_eq("cpuid/d-size-for-xcr0", cpuid(0xD, 0).b, avx ? 832 : 576);
  if (avx) {
    avx_state();
  } else {
    skip("avx", "not in CPUID");
  }
  write_cr4(read_cr4() & ~(Word)kCr4Osxsave);
  check("cpuid/osxsave-off-again", !cpuid_bit(1, 0, 'c', 27));
}

/* The state is the guest's: it must survive system instructions, traps and port access. */
static void survives(void) {
  static u64 in[2] = {0x1122334455667788ull, 0x99AABBCCDDEEFF00ull}, out[2], result;
  static const u64 kHalf = 0x3FE0000000000000ull;
  asm volatile("fninit\n\tfldl %0\n\tmovups %1, %%xmm15" ::"m"(kHalf), "m"(in));
  for (volatile int i = 0; i < 50; ++i) {
    (void)inb(0x3FD);
    (void)cpuid(0, 0);
    (void)rdmsr(kMsrEfer);
    CATCH(asm volatile("ud2"));
    write_cr3(read_cr3());
  }
  asm volatile("fstpl %0\n\tmovups %%xmm15, %1" : "=m"(result), "=m"(out));
  check_eq("survives/x87", result, kHalf);
  check("survives/xmm15", same(in, out, 16));
}

void program(void) {
  write_cr4(read_cr4() | kCr4Osfxsr | kCr4Osxmmexcpt);
  task_switched();
  fxsave();
  xsave();
  survives();
}
