/* Hardware task switches: by jump, call, interrupt gate and IRET, nesting, busy bits, what a switch loads,
 * its faults (SDM volume 3, chapter 7; 6.15 for #TS). */
#include "runtime.h"

const char program_name[] = "task32";

enum { kOther = kFreeSel, kThird = kFreeSel + 8, k16 = kFreeSel + 16 };
struct Seen {
  u32 eax, tr, flags, cr0, esp, ds, cr3, error;
};
extern volatile struct Seen task_seen;
extern volatile u32 task_return; /* 0: by IRET; 1: by a jump to the first task */
extern volatile u32* task_fix;   /* what the task sets to the flat data selector */
extern volatile u32 task_repair; /* the task puts the first task's saved image right */
void task_entry(void), task_entry_error(void), task_entry_16(void);
struct __attribute__((packed)) Tss16 {
  u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};
static struct Tss other __attribute__((aligned(128)));
static struct Tss16 small __attribute__((aligned(64)));
u32 task_selector; /* global: named in the assembler below */
static u8 stack[4096] __attribute__((aligned(16)));

static u8 type_of(u16 selector) { return *((volatile u8*)&gdt[selector / 8] + 5); }

static void prepare(void (*entry)(void)) {
  memset(&other, 0, 104);
  other.cr3 = read_cr3();
  other.eip = (u32)entry;
  other.eflags = 2 | kCf;
  other.eax = 0xCAFE;
  other.ecx = 0xC0C0;
  other.esp = (u32)stack + sizeof stack;
  other.ss = other.ds = other.es = other.fs = other.gs = kDs;
  other.cs = kCs;
  other.iopb = 104;
  gdt[kOther / 8] = descriptor((u32)&other, 103, 0x89, 0);
  memset((void*)&task_seen, 0, sizeof task_seen);
}
/* After a fault inside a switch: the first task is the current one again, the others are free. */
static void reset(void) {
  *((volatile u8*)&gdt[kTssSel / 8] + 5) = 0x89;
  *((volatile u8*)&gdt[kOther / 8] + 5) = 0x89;
  write_flags(2);
  asm volatile("clts\n\tltr %w0" ::"r"(kTssSel) : "memory");
}

static void by_jump(void) {
  prepare(task_entry);
  task_return = 1;
  u32 ebx = 0x1234, esi = 0x5678, ebp_before, ebp_after;
  asm volatile("movl %%ebp, %0\n\tljmp $0x50, $0\n\tmovl %%ebp, %1"
               : "=m"(ebp_before), "=m"(ebp_after), "+b"(ebx), "+S"(esi)::"memory", "cc");
  check("jump/registers-come-back", ebx == 0x1234 && esi == 0x5678 && ebp_before == ebp_after);
  check_eq("jump/loads-eax", task_seen.eax, 0xCAFE);
  check_eq("jump/loads-tr", task_seen.tr & 0xFFFF, kOther);
  check_eq("jump/loads-flags", task_seen.flags & (kCf | kNt), kCf);
  check_eq("jump/sets-ts", task_seen.cr0 & kCr0Ts, kCr0Ts);
  check_eq("jump/loads-esp", task_seen.esp, (u32)stack + sizeof stack);
  check_eq("jump/saves-its-registers", other.ecx, 0xC0C0);
  check_eq("jump/first-is-busy", type_of(kTssSel), 0x8B);
  check_eq("jump/other-is-free", type_of(kOther), 0x89);
  check_eq("jump/back-sets-ts", read_cr0() & kCr0Ts, kCr0Ts);
  asm volatile("clts");
  EXPECT_FAULT("jump/to-itself-is-busy", kGP, kTssSel, "ljmp $0x40, $0", :);
}

static void by_call(void) {
  prepare(task_entry);
  task_return = 0;
  asm volatile("lcall $0x50, $0" ::: "memory", "cc");
  check_eq("call/sets-nt", task_seen.flags & kNt, kNt);
  check_eq("call/link", other.link & 0xFFFF, kTssSel);
  check_eq("call/other-is-free-after-iret", type_of(kOther), 0x89);
  check_eq("call/first-is-busy", type_of(kTssSel), 0x8B);
  check_eq("call/nt-clear-here", read_flags() & kNt, 0);
  u32 tr;
  asm volatile("str %0" : "=r"(tr));
  check_eq("call/tr-is-first", tr & 0xFFFF, kTssSel);
  check_eq("call/iret-clears-nt-in-the-saved-image", other.eflags & kNt, 0);
  gdt[kThird / 8] = (u64)kOther << 16 | 0x0000850000000000ull; /* a task gate */
  prepare(task_entry);
  asm volatile("lcall $0x58, $0" ::: "memory", "cc");
  check_eq("call/through-a-task-gate", task_seen.tr & 0xFFFF, kOther);
  asm volatile("clts");
}

static void task_gate(int vector) { idt[vector] = (struct Gate){0, kOther, 0, 0x85, 0}; }

static void by_interrupt(void) {
  struct Gate saved = idt[0x90], gp = idt[kGP];
  prepare(task_entry);
  task_return = 0;
  task_gate(0x90);
  asm volatile("int $0x90" ::: "memory", "cc");
  check_eq("interrupt/entered", task_seen.tr & 0xFFFF, kOther);
  check_eq("interrupt/nt", task_seen.flags & kNt, kNt);
  check_eq("interrupt/link", other.link & 0xFFFF, kTssSel);
  asm volatile("clts");
  idt[0x90] = saved;
  /* An exception with an error code: it is on the other task's stack. */
  prepare(task_entry_error);
  task_gate(kGP);
  task_selector = 0x1F8;
  task_fix = &task_selector;
  asm volatile("movw task_selector, %%fs" ::: "memory");
  idt[kGP] = gp;
  task_fix = 0;
  check_eq("exception/error-code", task_seen.error, 0x1F8);
  check_eq("exception/tr", task_seen.tr & 0xFFFF, kOther);
  asm volatile("clts\n\tmovw %w0, %%fs" ::"r"(kDs));
}

USER_CODE static void user_task_call(void) { asm volatile("lcall $0x58, $0"); }
USER_CODE static void user_tss_call(void) { asm volatile("lcall $0x50, $0"); }

static void from_ring_3(void) {
  prepare(task_entry);
  task_return = 0;
  run_user(user_tss_call);
  check_caught("user/tss-dpl", kGP, kOther);
  gdt[kThird / 8] = (u64)kOther << 16 | 0x0000E50000000000ull; /* task gate with DPL 3 */
  run_user(user_task_call);
  check_caught("user/task-gate-and-back", 0x80, 0);
  check_eq("user/task-gate-entered", task_seen.tr & 0xFFFF, kOther);
  asm volatile("clts");
}

#define BROKEN(name, vec, err, change)                \
  prepare(task_entry);                                \
  change;                                             \
  CATCH(asm volatile("ljmp $0x50, $0" ::: "memory")); \
  check_caught(name, vec, err);                       \
  reset()

static void faults(void) {
  task_return = 1;
  BROKEN("fault/not-present", kNP, kOther, gdt[kOther / 8] = descriptor((u32)&other, 103, 0x09, 0));
  BROKEN("fault/busy", kGP, kOther, gdt[kOther / 8] = descriptor((u32)&other, 103, 0x8B, 0));
  BROKEN("fault/limit", kTS, kOther, gdt[kOther / 8] = descriptor((u32)&other, 102, 0x89, 0));
  BROKEN("fault/cs-null", kTS, 0, other.cs = 0);
  BROKEN("fault/cs-is-data", kTS, kDs, other.cs = kDs);
  BROKEN("fault/ds-bad", kTS, 0x1F8, other.ds = 0x1F8);
  CATCH(asm volatile("pushfl\n\torl $0x4000, (%%esp)\n\tpopfl\n\tmovw $0x1F8, tss\n\tiretl" ::
                         : "memory", "cc"));
  check_caught("fault/iret-bad-link", kTS, 0x1F8);
  reset();
  CATCH(asm volatile("pushfl\n\torl $0x4000, (%%esp)\n\tpopfl\n\tmovw $0x50, tss\n\tiretl" ::
                         : "memory", "cc"));
  check_caught("fault/iret-link-not-busy", kTS, kOther);
  reset();
  BROKEN("trap-bit/debug-exception", kDB, 0, other.trap = 1);
  check_eq("trap-bit/dr6", caught.dr6 & 0xE00F, 0x8000);
  write_dr6(0xFFFF0FF0);
  /* From ring 3 into a ring 0 stack that the TSS describes badly. */
  u16 ss0 = (u16)tss.ss0;
  idt[kTS] = (struct Gate){0, kOther, 0, 0x85, 0};
  prepare(task_entry_error);
  task_return = 0;
  tss.ss0 = 0x1F8;
  /* #TS itself goes through a task gate; when that task returns, int 0x80 is tried again with a good stack.
   */
  task_fix = (volatile u32*)(Word)((u8*)&tss + 8); /* ss0 */
  run_user(user_exit);
  tss.ss0 = ss0;
  task_fix = 0;
  check_caught("ring-0-stack/tried-again", 0x80, 0);
  check_eq("ring-0-stack/ts-error", task_seen.error, 0x1F8);
  set_gate(kTS, (Word)trap_stubs[kTS], kCs, 0x8E, 0);
  asm volatile("clts");
}

static void double_fault(void) {
  struct Gate df = idt[kDF];
  prepare(task_entry_error);
  task_gate(kDF);
  task_return = 1;
  u32 esp;
  /* A stack limit so small that no frame fits: #SS cannot be delivered, the double fault task can. It repairs
   * the saved image of the first task and jumps back. */
  gdt[kThird / 8] = descriptor(0, 0xFFF, 0x93, 4);
  task_repair = 1;
  asm volatile(
      "movl %%esp, %0\n\tmovl $1f, task_resume\n\tmovl %%esp, task_resume+4\n\tmovw %w1, %%ss\n\tpushl "
      "%%eax\n1:"
      : "=m"(esp)
      : "r"(kThird)
      : "memory");
  task_repair = 0;
  idt[kDF] = df;
  check_eq("double-fault/through-a-task-gate", task_seen.tr & 0xFFFF, kOther);
  check_eq("double-fault/error-is-0", task_seen.error, 0);
  check_eq("double-fault/saved-ss", task_seen.ds, kThird);
  reset();
}

static void small_task(void) {
  gdt[k16 / 8] = descriptor((u32)&small, sizeof small - 1, 0x81, 0);
  gdt[k16 / 8 + 1] =
      descriptor(0x100000, 0xFFFF, 0x9B, 0); /* 16-bit code over the first 64 KiB of the program */
  gdt[k16 / 8 + 2] = descriptor(0x100000, 0xFFFF, 0x9B, 4);
  memset(&small, 0, sizeof small);
  small.ip = (u16)((u32)task_entry_16 - 0x100000);
  small.flags = 2;
  small.ax = 0x1616;
  small.cs = k16 + 16; /* 32-bit code, entered through a 16-bit TSS */
  small.ss = small.ds = small.es = kDs;
  small.sp = 0x8000;
  memset((void*)&task_seen, 0, sizeof task_seen);
  asm volatile("lcall $0x60, $0" ::: "memory", "cc");
  check_eq("small/ax", task_seen.eax & 0xFFFF, 0x1616);
  check_eq("small/tr", task_seen.tr & 0xFFFF, k16);
  check_eq("small/sp", task_seen.esp & 0xFFFF, 0x8000);
  check_eq("small/link", small.link, kTssSel);
  check_eq("small/free-after-iret", type_of(k16), 0x81);
  asm volatile("clts");
}

static u32 directories[2][1024] __attribute__((aligned(4096)));
static void address_space(void) {
  for (u32 d = 0; d < 2; ++d) {
    for (u32 i = 0; i < 4; ++i) directories[d][i] = i << 22 | 0x83;
  }
  write_cr4(read_cr4() | kCr4Pse);
  write_cr3((Word)directories[0]);
  write_cr0(read_cr0() | kCr0Pg);
  prepare(task_entry);
  other.cr3 = (u32)directories[1];
  tss.cr3 = (u32)directories[0];
  task_return = 0;
  asm volatile("lcall $0x50, $0" ::: "memory", "cc");
  check_eq("cr3/loaded", task_seen.cr3, (u32)directories[1]);
  check_eq("cr3/back", read_cr3(), (u32)directories[0]);
  write_cr0(read_cr0() & ~(kCr0Pg | kCr0Ts));
}

void program(void) {
  by_jump();
  by_call();
  by_interrupt();
  from_ring_3();
  faults();
  if (!oracle_fails("double-fault")) double_fault();
  address_space();
  small_task();
}
