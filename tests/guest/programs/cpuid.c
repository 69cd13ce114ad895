/* CPUID agrees with itself and with what the processor does (SDM volume 2, CPUID), and UMIP. */
#include "runtime.h"

const char program_name[] = "cpuid";

USER_CODE static void user_cpuid(void) {
  asm volatile("movl $0, %%eax\n\tcpuid\n\tmovl %%ebx, %%eax\n\tint $0x80" ::: "rax", "rbx", "rcx", "rdx");
}
static u64 user_scratch[4] USER_DATA;
USER_CODE static void user_sgdt(void) { asm volatile("sgdt %0" : "=m"(user_scratch)); }
USER_CODE static void user_sidt(void) { asm volatile("sidt %0" : "=m"(user_scratch)); }
USER_CODE static void user_sldt(void) { asm volatile("sldt %%eax" ::: "eax"); }
USER_CODE static void user_str(void) { asm volatile("str %%eax" ::: "eax"); }
USER_CODE static void user_smsw(void) { asm volatile("smsw %%eax" ::: "eax"); }

static void implies(const char* name, bool a, bool b) { check(name, !a || b); }

static void leaves(void) {
  struct Cpuid zero = cpuid(0, 0), extended = cpuid(0x80000000u, 0);
  check("leaf0/enough-leaves", zero.a >= 7);
  check("extended/enough-leaves", extended.a >= 0x80000008u && extended.a < 0x80010000u);
  check("extended/long-mode", cpuid_bit(0x80000001u, 0, 'd', 29));
  check("extended/nx", cpuid_bit(0x80000001u, 0, 'd', 20));
  u32 sizes = cpuid(0x80000008u, 0).a;
  check("addresses/physical", (sizes & 0xFF) >= 36 && (sizes & 0xFF) <= 52);
  check("addresses/linear", (sizes >> 8 & 0xFF) == 48 || (sizes >> 8 & 0xFF) == 57);
  static const u8 kBasics[] = {0,  3,  4,  5,  6,  8, 9,
                               13, 15, 23, 24, 25, 26}; /* FPU PSE TSC MSR PAE CX8 APIC ... SSE2 */
  bool all = true;
  for (u32 i = 0; i < sizeof kBasics; ++i) all = all && cpuid_bit(1, 0, 'd', kBasics[i]);
  check("leaf1/what-64-bit-code-relies-on", all);
  struct Cpuid again = cpuid(0, 0x1234);
  check("leaf0/ignores-the-subleaf",
        again.a == zero.a && again.b == zero.b && again.c == zero.c && again.d == zero.d);
  u64 a = 0xFFFFFFFF00000000ull, b = ~0ull, c = 0xFFFFFFFF00000000ull, d = ~0ull;
  asm volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
  check("leaf0/clears-the-high-halves", (a | b | c | d) >> 32 == 0);
  run_user(user_cpuid);
  check("leaf0/same-in-ring-3", caught.vector == 0x80 && (u32)caught.frame.ax == zero.b);
  if (cpuid_bit(1, 0, 'c', 31)) {
    struct Cpuid h = cpuid(0x40000000, 0);
    check("hypervisor/leaf", h.a == 0 || (h.a >= 0x40000000 && h.a <= 0x400000FF));
  } else {
    skip("hypervisor/leaf", "no hypervisor");
  }
}

static void consistency(void) {
  implies("features/avx-needs-xsave", cpuid_bit(1, 0, 'c', 28), cpuid_bit(1, 0, 'c', 26));
  implies("features/avx2-needs-avx", cpuid_bit(7, 0, 'b', 5), cpuid_bit(1, 0, 'c', 28));
  implies("features/fma-needs-avx", cpuid_bit(1, 0, 'c', 12), cpuid_bit(1, 0, 'c', 28));
  implies("features/avx512-needs-avx2", cpuid_bit(7, 0, 'b', 16), cpuid_bit(7, 0, 'b', 5));
  implies("features/avx-in-leaf-d", cpuid_bit(1, 0, 'c', 28), (cpuid(0xD, 0).a & 7) == 7);
  implies("features/avx512-in-leaf-d", cpuid_bit(7, 0, 'b', 16), (cpuid(0xD, 0).a & 0xE0) == 0xE0);
  implies("features/invpcid-needs-pcid", cpuid_bit(7, 0, 'b', 10), cpuid_bit(1, 0, 'c', 17));
  implies("features/sse42-needs-sse41", cpuid_bit(1, 0, 'c', 20), cpuid_bit(1, 0, 'c', 19));
  implies("features/x2apic-needs-apic", cpuid_bit(1, 0, 'c', 21), cpuid_bit(1, 0, 'd', 9));
}

/* An instruction that CPUID announces works. (That the others do not is no law of the architecture: hardware
 * virtualization lets hidden instructions through.) */
static void announced(void) {
  static u32 word;
#define AS_ANNOUNCED(name, bit, insn, ...) \
  do {                                     \
    if (bit) {                             \
      EXPECT_OK(name, insn, __VA_ARGS__);  \
    } else {                               \
      skip(name, "not in CPUID");          \
    }                                      \
  } while (0)
  AS_ANNOUNCED("announced/popcnt", cpuid_bit(1, 0, 'c', 23), "popcnt %%eax, %%eax", : : "rax", "cc");
  AS_ANNOUNCED("announced/movbe", cpuid_bit(1, 0, 'c', 22), "movbe %0, %%eax", : "m"(word) : "rax");
  AS_ANNOUNCED("announced/monitor", cpuid_bit(1, 0, 'c', 3), "monitor", : "a"(&word), "c"(0), "d"(0));
  AS_ANNOUNCED("announced/rdrand", cpuid_bit(1, 0, 'c', 30), "rdrand %%eax", : : "rax", "cc");
  AS_ANNOUNCED("announced/rdseed", cpuid_bit(7, 0, 'b', 18), "rdseed %%eax", : : "rax", "cc");
  AS_ANNOUNCED("announced/adcx", cpuid_bit(7, 0, 'b', 19), "adcx %%eax, %%eax", : : "rax", "cc");
  AS_ANNOUNCED("announced/rdtscp", cpuid_bit(0x80000001u, 0, 'd', 27), "rdtscp", : : "rax", "rdx", "rcx");
  AS_ANNOUNCED("announced/rdpid", cpuid_bit(7, 0, 'c', 22), "rdpid %%rax", : : "rax");
  AS_ANNOUNCED("announced/stac", cpuid_bit(7, 0, 'b', 20), "stac", :);
  if (cpuid_bit(7, 0, 'b', 20)) asm volatile("clac");
}

static void umip(void) {
  void (*const kAll[])(void) = {user_sgdt, user_sidt, user_sldt, user_str, user_smsw};
  static const char* const kOff[] = {"umip-off/sgdt", "umip-off/sidt", "umip-off/sldt", "umip-off/str",
                                     "umip-off/smsw"};
  static const char* const kOn[] = {"umip/sgdt", "umip/sidt", "umip/sldt", "umip/str", "umip/smsw"};
  run_user(user_sgdt);
  check_eq("umip-off/sgdt-base", *(u64*)((u8*)user_scratch + 2), (Word)gdt);
  run_user(user_sidt);
  check_eq("umip-off/sidt-base", *(u64*)((u8*)user_scratch + 2), (Word)idt);
  check_eq("umip-off/sidt-limit", *(u16*)user_scratch, sizeof idt - 1);
  for (int i = 0; i < 5; ++i) {
    run_user(kAll[i]);
    check_caught(kOff[i], 0x80, 0);
  }
  if (!cpuid_bit(7, 0, 'c', 2)) {
    EXPECT_FAULT("umip/bit-refused", kGP, 0, "mov %0, %%cr4", : "r"(read_cr4() | kCr4Umip));
    skip("umip", "not in CPUID");
    return;
  }
  write_cr4(read_cr4() | kCr4Umip);
  for (int i = 0; i < 5; ++i) {
    run_user(kAll[i]);
    check_caught(kOn[i], kGP, 0);
  }
  EXPECT_OK("umip/ring-0-is-free", "str %%eax", : : "rax");
  write_cr4(read_cr4() & ~(Word)kCr4Umip);
}

void program(void) {
  leaves();
  consistency();
  announced();
  umip();
}
