/* The nanobenchmarks of Adams and Agesen (ASPLOS 2006, section 6.3) and a few of the same kind: what one
 * privileged operation costs, in cycles of the time-stamp counter. A Multiboot kernel on the runtime of
 * tests/guest/. Prints "NANO name cycles" a line and ends through the debug-exit port.
 *
 * loops.S has the loops. What is in ring 3 pays for the way there and back once a run, which is nothing
 * beside the run's length. */
#include "paging.h"
#include "timing.h"

const char program_name[] = "nano";

extern void loop_callret(u64), loop_in_80(u64), loop_in_uart(u64), loop_cr8wr(u64), loop_ptemod(u64);
extern void loop_remap(u64), loop_cr3wr(u64), loop_cli_sti(u64), loop_pushf_popf(u64), loop_swapgs(u64);
extern void loop_rdtsc(u64), loop_cpuid(u64);
void user_syscall(void), user_divzero(void), user_pgfault(void), user_int(void);
void syscall_handler(void), divide_handler(void), page_fault_handler(void), int_handler(void);

volatile u64 loop_count USER_DATA;
u64 absent_page USER_DATA = 0x7f0000000000;
/* 512 pages mapped one by one, at the top of the first 4 GiB's successor; the boot code maps below. */
static const u64 kPages = 0x140000000;
u64 *ptemod_table, ptemod_pages = 0x140000000;

static void in_ring_3(void (*code)(void), u64 count) {
  loop_count = count;
  int vector = run_user(code);
  if (vector != 0x80) check_eq("vector-at-the-end-of-ring-3", (u64)vector, 0x80);
}
static void run_syscall(u64 count) { in_ring_3(user_syscall, count); }
static void run_divzero(u64 count) { in_ring_3(user_divzero, count); }
static void run_pgfault(u64 count) { in_ring_3(user_pgfault, count); }
static void run_int(u64 count) { in_ring_3(user_int, count); }

static void report(const char* name, void (*run)(u64)) {
  u64 hundredths = measure(run);
  print("NANO ");
  print(name);
  print(" ");
  print_dec((u32)(hundredths / 100));
  print(".");
  print_dec((u32)(hundredths / 10 % 10));
  print_dec((u32)(hundredths % 10));
  print("\n");
}

/* Runs with one gate pointing to a handler of ours, and puts the runtime's back. */
static void report_with_gate(const char* name, void (*run)(u64), int vector, void (*handler)(void), u8 type) {
  struct Gate before = idt[vector];
  set_gate(vector, (Word)handler, kCs, type, 0);
  report(name, run);
  idt[vector] = before;
}

static void prepare(void) {
  wrmsr(kMsrEfer, rdmsr(kMsrEfer) | 1);
  wrmsr(kMsrStar, (u64)(0x18 | 3) << 48 | (u64)kCs << 32);
  wrmsr(kMsrLstar, (Word)syscall_handler);
  wrmsr(kMsrFmask, kTf | kDf | kIf);
  for (u64 i = 0; i < 512; ++i) map(boot_pml4, kPages + i * 4096, 0x800000 + i * 4096, 1, kP | kW);
  ptemod_table = entry_of(boot_pml4, kPages, 1);
  for (u64 i = 0; i < 512; ++i) *(volatile u64*)(kPages + i * 4096) = i;
}

void program(void) {
  prepare();
  report("syscall", run_syscall);
  report("in_80", loop_in_80);
  report("in_uart", loop_in_uart);
  report("cr8wr", loop_cr8wr);
  report("callret", loop_callret);
  report_with_gate("pgfault", run_pgfault, kPF, page_fault_handler, 0x8E);
  report_with_gate("divzero", run_divzero, kDE, divide_handler, 0x8E);
  report("ptemod", loop_ptemod);

  report("ptemod_invlpg", loop_remap);
  report("cr3wr", loop_cr3wr);
  report_with_gate("int_iret", run_int, 0x81, int_handler, 0xEE);
  report("cli_sti", loop_cli_sti);
  report("pushf_popf", loop_pushf_popf);
  report("swapgs", loop_swapgs);
  report("rdtsc", loop_rdtsc);
  report("cpuid", loop_cpuid);
}
