/* Segmentation in 32-bit protected mode: limits, expand-down, types, privilege checks, LAR LSL VERR VERW,
 * call gates with parameters, returns to an outer ring, LDT, accessed bit (SDM volume 3, 3.4, 3.5 and chapter
 * 5). */
#include "runtime.h"

const char program_name[] = "seg32";

enum { kA = kFreeSel, kB = kFreeSel + 8, kC = kFreeSel + 16, kD = kFreeSel + 24 };
static u8 data[0x3000] __attribute__((aligned(4096)));

static void define(u16 selector, u32 base, u32 limit, u8 access, u8 flags) {
  gdt[selector / 8] = descriptor(base, limit, access, flags);
}
/* The trap that a check expects ends with flat segments: each access loads FS anew. */
static u16 fs;
#define LOAD_FS(sel) asm volatile("movw %w0, %%fs" ::"r"(fs = (sel)) : "memory")
#define ACCESS(name, vec, at, insn)                                                           \
  do {                                                                                        \
    CATCH(asm volatile("movw %w1, %%fs\n\t" MARK insn ::"r"(at), "r"(fs) : "eax", "memory")); \
    check_caught(name, vec, 0);                                                               \
  } while (0)
#define READ8(name, vec, at) ACCESS(name, vec, at, "movb %%fs:(%0), %%al")
#define READ32(name, vec, at) ACCESS(name, vec, at, "movl %%fs:(%0), %%eax")
#define WRITE8(name, vec, at) ACCESS(name, vec, at, "movb %%al, %%fs:(%0)")

static void limits(void) {
  define(kA, (u32)data, 0xFFF, 0x93, 4);
  LOAD_FS(kA);
  READ8("limit/last-byte", -1, 0xFFF);
  READ8("limit/first-beyond", kGP, 0x1000);
  READ32("limit/last-dword", -1, 0xFFC);
  READ32("limit/dword-across", kGP, 0xFFD);
  WRITE8("limit/write-beyond", kGP, 0x1000);
  READ32("limit/wraps-at-the-top", kGP, 0xFFFFFFFE);
  define(kA, (u32)data, 1, 0x93, 0xC); /* two pages */
  LOAD_FS(kA);
  READ8("limit/granular-last", -1, 0x1FFF);
  READ8("limit/granular-beyond", kGP, 0x2000);
  define(kA, (u32)data, 0xFFF, 0x97, 4); /* expand-down: valid above the limit */
  LOAD_FS(kA);
  READ8("expand-down/at-limit", kGP, 0xFFF);
  READ8("expand-down/above", -1, 0x1000);
  READ32("expand-down/top", kGP, 0xFFFFFFFD);
  define(kA, (u32)data, 0xFFF, 0x97, 0); /* ... up to 64 KiB only if not big */
  LOAD_FS(kA);
  READ8("expand-down-16/below-64k", -1, 0x2000);
  READ8("expand-down-16/64k", kGP, 0x10000);
  define(kA, (u32)data, 0xFFF, 0x91, 4); /* read-only */
  LOAD_FS(kA);
  READ8("type/read-only-read", -1, 0);
  WRITE8("type/read-only-write", kGP, 0);
  define(kA, (u32)data, 0xFFF, 0x9B, 4); /* readable code */
  LOAD_FS(kA);
  READ8("type/readable-code", -1, 0);
  WRITE8("type/code-write", kGP, 0);
  define(kA, (u32)data, 0xFFF, 0x99, 4); /* execute-only */
  EXPECT_FAULT("type/execute-only-load", kGP, kA, "movw %w0, %%fs", : "r"(kA));
  LOAD_FS(0);
  READ8("null/use", kGP, 0);
  LOAD_FS(3);
  check("null/any-rpl-loads", true);
  asm volatile("movw %w0, %%fs" ::"r"(kDs));
}

static void stack_access(void) {
  /* Base 0 and 4 MiB long: the stack in use, and with it the frame of the fault, is inside. */
  define(kA, 0, 0x3FF, 0x93, 0xC);
  CATCH(asm volatile("movw %w0, %%ss\n\tmovl %%ebp, %%ecx\n\tmovl $0x3FFFFE, %%ebp\n\t" MARK
                     "movl (%%ebp), %%eax\n\tmovl %%ecx, %%ebp\n\tmovw %w1, %%ss" ::"r"(kA),
                     "r"(kDs)
                     : "eax", "ecx"));
  check_caught("ss/ebp-beyond-limit", kSS, 0);
  CATCH(asm volatile("movw %w0, %%ss\n\tmovl %%ebp, %%ecx\n\tmovl $0x3FFFFC, %%ebp\n\t" MARK
                     "movl (%%ebp), %%eax\n\tmovl %%ecx, %%ebp\n\tmovw %w1, %%ss" ::"r"(kA),
                     "r"(kDs)
                     : "eax", "ecx"));
  check_caught("ss/inside-limit", -1, 0);
  /* A 16-bit stack segment: only sp moves, esp's upper half stays. */
  static u32 esp_after, value;
  define(kB, (u32)data, 0xFFFF, 0x93, 0);
  asm volatile(
      "movl %%esp, %%ebx\n\tmovw %w2, %%ss\n\tmovl $0x12340002, %%esp\n\tpushw $0x55\n\tpushw $0x66\n\tmovl "
      "%%esp, %0\n\tpopw %%ax\n\t"
      "movw %w3, %%ss\n\tmovl %%ebx, %%esp\n\tmovzwl %%ax, %%eax\n\tmovl %%eax, %1"
      : "=m"(esp_after), "=m"(value)
      : "r"(kB), "r"(kDs)
      : "eax", "ebx", "memory");
  check_eq("ss16/sp-wraps-alone", esp_after, 0x1234FFFE);
  check_eq("ss16/value", value, 0x66);
}

static void loads(void) {
  define(kA, 0, 0xFFFFF, 0x13, 0xC);
  EXPECT_FAULT("load/not-present", kNP, kA, "movw %w0, %%fs", : "r"(kA));
  EXPECT_FAULT("load/ss-not-present", kSS, kA, "movw %w0, %%ss", : "r"(kA));
  EXPECT_FAULT("load/ss-null", kGP, 0, "movw %w0, %%ss", : "r"(0));
  EXPECT_FAULT("load/ss-read-only", kGP, kB, "movw %w0, %%ss",
               : "r"((define(kB, 0, 0xFFFFF, 0x91, 0xC), kB)));
  EXPECT_FAULT("load/ss-rpl-3", kGP, kDs, "movw %w0, %%ss", : "r"(kDs | 3));
  EXPECT_FAULT("load/ss-dpl-3", kGP, kUserDs & ~3, "movw %w0, %%ss", : "r"(kUserDs & ~3));
  EXPECT_FAULT("load/tss-as-data", kGP, kTssSel, "movw %w0, %%fs", : "r"(kTssSel));
  EXPECT_FAULT("load/beyond-gdt", kGP, 0x200, "movw %w0, %%fs", : "r"(0x200));
  EXPECT_FAULT("load/no-ldt", kGP, 0x0C, "movw %w0, %%fs", : "r"(0x0C));
  EXPECT_FAULT("load/rpl-weaker-than-dpl", kGP, kDs, "movw %w0, %%fs", : "r"(kDs | 3));
  EXPECT_OK("load/dpl-3-data", "movw %w0, %%fs", : "r"(kUserDs));
  define(kA, 0, 0xFFFFF, 0x92, 0xC);
  LOAD_FS(kA);
  check_eq("accessed/set-by-the-load", gdt[kA / 8] >> 40 & 0xFF, 0x93);
  asm volatile("movw %w0, %%fs" ::"r"(kDs));
}

/* zf and the value of LAR or LSL */
#define QUERY(insn, selector, value)                                                               \
  ({                                                                                               \
    u8 z_;                                                                                         \
    asm volatile(insn " %2, %1\n\tsetz %0" : "=q"(z_), "+r"(value) : "r"((u32)(selector)) : "cc"); \
    z_;                                                                                            \
  })
#define VERIFY(insn, selector)                                              \
  ({                                                                        \
    u8 z_;                                                                  \
    asm volatile(insn " %w1\n\tsetz %0" : "=q"(z_) : "r"(selector) : "cc"); \
    z_;                                                                     \
  })

static void queries(void) {
  u32 v = 0;
  check("lar/code", QUERY("larl", kCs, v) && (v & 0xF0FF00) == 0xC09B00);
  v = 0x55;
  check("lar/null-keeps", !QUERY("larl", 0, v) && v == 0x55);
  check("lar/beyond-gdt", !QUERY("larl", 0x200, v) && v == 0x55);
  check("lar/rpl-too-weak", !QUERY("larl", kDs | 3, v));
  check("lar/tss", QUERY("larl", kTssSel, v) && (v & 0xFF00) == 0x8B00);
  check("lsl/flat", QUERY("lsll", kDs, v) && v == 0xFFFFFFFF);
  check("lsl/bytes", QUERY("lsll", kTssSel, v) && v == sizeof tss - 1);
  define(kA, 0, 0, 0x8C, 0); /* a call gate: LAR knows it, LSL does not */
  check("lar/call-gate", QUERY("larl", kA, v));
  v = 0x66;
  check("lsl/call-gate", !QUERY("lsll", kA, v) && v == 0x66);
  define(kA, 0, 0, 0x8E, 0); /* an interrupt gate: neither */
  check("lar/interrupt-gate", !QUERY("larl", kA, v));
  check("verr/data", VERIFY("verr", kDs));
  check("verw/data", VERIFY("verw", kDs));
  check("verr/readable-code", VERIFY("verr", kCs));
  check("verw/code", !VERIFY("verw", kCs));
  define(kA, 0, 0xFFFFF, 0x99, 0xC);
  check("verr/execute-only", !VERIFY("verr", kA));
  define(kA, 0, 0xFFFFF, 0x91, 0xC);
  check("verw/read-only", !VERIFY("verw", kA));
  check("verr/read-only", VERIFY("verr", kA));
  check("verr/null", !VERIFY("verr", 0));
  check("verr/tss", !VERIFY("verr", kTssSel));
  check("verr/rpl-3-of-dpl-0", !VERIFY("verr", kDs | 3));
  define(kA, 0, 0xFFFFF, 0x9F, 0xC);
  check("verr/conforming-any-rpl", VERIFY("verr", kA | 3));
}

static void ldt(void) {
  static u64 table[4] __attribute__((aligned(8)));
  table[1] = descriptor((u32)data, 0xFFF, 0x93, 4);
  data[5] = 0x77;
  define(kC, (u32)table, sizeof table - 1, 0x82, 0);
  asm volatile("lldt %w0" ::"r"(kC));
  u32 v;
  asm volatile("sldt %0" : "=r"(v));
  check_eq("ldt/sldt", v & 0xFFFF, kC);
  asm volatile("movw %w1, %%fs\n\tmovzbl %%fs:5, %0" : "=r"(v) : "r"(0x0C));
  check_eq("ldt/value", v, 0x77);
  EXPECT_FAULT("ldt/null-descriptor", kGP, 0x04, "movw %w0, %%fs", : "r"(0x04));
  EXPECT_FAULT("ldt/beyond", kGP, 0x24, "movw %w0, %%fs", : "r"(0x24));
  asm volatile("movw %w0, %%fs\n\tlldt %w1" ::"r"(kDs), "r"(0));
  EXPECT_FAULT("lldt/not-an-ldt", kGP, kDs, "lldt %w0", : "r"(kDs));
  define(kC, (u32)table, sizeof table - 1, 0x02, 0);
  EXPECT_FAULT("lldt/not-present", kNP, kC, "lldt %w0", : "r"(kC));
  EXPECT_FAULT("ltr/busy", kGP, kTssSel, "ltr %w0", : "r"(kTssSel));
}

/* ---- transfers between rings ---- */
void gate_target(void);
asm(".text\ngate_target: movl 8(%esp), %eax\n\tmovl %eax, %ss:gate_words\n\tmovl 12(%esp), %eax\n\tmovl "
    "%eax, %ss:gate_words+4\n\t"
    "movl %cs, %eax\n\tmovl %eax, %ss:gate_words+8\n\tmovl 16(%esp), %eax\n\tmovl %eax, "
    "%ss:gate_words+12\n\tlret $8");
u32 gate_words[4];

static void call_gate(u16 selector, u16 target, u32 offset, u8 count, u8 access) {
  gdt[selector / 8] = (offset & 0xFFFF) | (u64)target << 16 | (u64)(count & 31) << 32 | (u64)access << 40 |
                      (u64)(offset >> 16) << 48;
}

USER_CODE static void user_call_gate(void) {
  asm volatile(
      "movl %%esp, %%esi\n\tpushl $0x2222\n\tpushl $0x1111\n\tlcall $0x50, $0\n\tmovl %%esp, %%edi\n\tint "
      "$0x80" ::
          : "eax", "esi", "edi", "memory");
}
USER_CODE static void user_far_to_kernel(void) { asm volatile("ljmp $0x08, $0"); }
USER_CODE static void user_load_kernel_data(void) { asm volatile("movw %w0, %%fs" ::"r"(kDs)); }
USER_CODE static void user_conforming(void) {
  asm volatile("lcall $0x68, $1f\n\tint $0x80\n1: movl %%cs, %%eax\n\tlret" ::: "eax", "memory");
}

static void gates(void) {
  call_gate(kA, kCs, (u32)gate_target, 2, 0xEC);
  run_user(user_call_gate);
  check_caught("gate/returns", 0x80, 0);
  check_eq("gate/parameter-1", gate_words[0], 0x1111);
  check_eq("gate/parameter-2", gate_words[1], 0x2222);
  check_eq("gate/cs", gate_words[2], kCs);
  check_eq("gate/outer-esp-below-parameters", gate_words[3], caught.frame.si - 8);
  check_eq("gate/ret-drops-parameters", caught.frame.di, caught.frame.si);
  check_eq("gate/back-in-ring-3", caught.frame.cs, kUserCs32);
  call_gate(kA, kCs, (u32)gate_target, 0, 0x8C); /* DPL 0 */
  run_user(user_call_gate);
  check_caught("gate/dpl", kGP, kA);
  call_gate(kA, kCs, (u32)gate_target, 0, 0x6C); /* not present */
  run_user(user_call_gate);
  check_caught("gate/not-present", kNP, kA);
  call_gate(kA, kDs, (u32)gate_target, 0, 0xEC);
  run_user(user_call_gate);
  check_caught("gate/target-is-data", kGP, kDs);
  call_gate(kA, 0, (u32)gate_target, 0, 0xEC);
  run_user(user_call_gate);
  check_caught("gate/target-null", kGP, 0);
  run_user(user_far_to_kernel);
  check_caught("far/jump-to-ring-0", kGP, kCs);
  run_user(user_load_kernel_data);
  check_caught("far/load-ring-0-data", kGP, kDs);
  define(kD, 0, 0xFFFFF, 0x9F, 0xC); /* conforming, DPL 0 */
  run_user(user_conforming);
  check_caught("conforming/call", 0x80, 0);
  check_eq("conforming/keeps-cpl", caught.frame.ax & 0xFFFF, kD | 3);
}

static void far_returns(void) {
  static u32 esp;
  /* lret to ring 3 with two parameters; data segments of ring 0 become null there. */
  CATCH(asm volatile(
      "movl %%esp, %0\n\tmovw %w4, %%fs\n\tmovw %w5, %%gs\n\tpushl %1\n\tpushl %2\n\tpushl $1\n\tpushl "
      "$2\n\tpushl %3\n\tpushl $1f\n\tlret $8\n"
      ".pushsection .user.text, \"ax\"\n1: movl %%fs, %%ecx\n\tmovl %%gs, %%edx\n\tint $0x80\n.popsection"
      : "=m"(esp)
      : "i"(kUserDs), "r"((u32)user_stack + 4096), "i"(kUserCs32), "r"(kDs), "r"(kUserDs)
      : "memory"));
  check_caught("lret/to-ring-3", 0x80, 0);
  check_eq("lret/adjusts-the-outer-stack", caught.frame.sp, (u32)user_stack + 4096 + 8);
  check_eq("lret/ring-0-fs-becomes-null", caught.frame.cx & 0xFFFF, 0);
  check_eq("lret/ring-3-gs-stays", caught.frame.dx & 0xFFFF, kUserDs);
  EXPECT_FAULT("ljmp/null", kGP, 0, "ljmp $0, $0", :);
  EXPECT_FAULT("ljmp/data", kGP, kDs, "ljmp $0x10, $0", :);
  define(kC, 0, 0xFFFFF, 0x1B, 0xC);
  EXPECT_FAULT("ljmp/not-present", kNP, kC, "ljmp $0x60, $0", :);
  define(kC, 0, 0xF, 0x9B, 4);
  EXPECT_FAULT("ljmp/beyond-limit", kGP, 0, "ljmp $0x60, $0x10", :);
}

void program(void) {
  limits();
  stack_access();
  loads();
  queries();
  ldt();
  gates();
  far_returns();
}
