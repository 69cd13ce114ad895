/* A monitor of the kind of EMM386: protected mode and paging around a virtual-8086 task, in which the BIOS
 * goes on working. This is the task, and what real mode asks before and after; the monitor itself is
 * monitor_32.c. SDM volume 3, chapter 20. */
#include "monitor.h"

#include "bios.h"

const char program_name[] = "monitor";

struct Statistics statistics;
static volatile u32 divided, undefined, breakpoints, steps;

/* What the task finds; checks that print are done inside it, through the serial port. */
static void flags(void) {
  cli();
  check_eq("task/cli-is-seen", read_flags() & kIf, 0);
  sti();
  check_eq("task/sti-is-seen", read_flags() & kIf, kIf);
  write_flags(kCf | kIf);
  check_eq("task/popf", read_flags() & (kCf | kIf), kCf | kIf);
  check_eq("task/vm-is-not-in-pushed-flags", read_flags() & kVm, 0);
}

static void services(void) {
  struct Registers r = {0};
  bios(0x12, &r);
  check_eq("task/base-memory", r.ax & 0xFFFF, peek16(0x40, 0x13));
  r = (struct Registers){.ax = 0x0003};
  bios(0x10, &r);
  r = (struct Registers){.ax = 0x0E56, .bx = 7};
  bios(0x10, &r);
  check_eq("task/teletype", peek8(0xB800, 0), 'V');
  r = (struct Registers){.ax = 0x0500, .cx = 0x2C7A};
  bios(0x16, &r);
  r = (struct Registers){0};
  bios(0x16, &r);
  check_eq("task/key", r.ax & 0xFFFF, 0x2C7A);
  r = (struct Registers){.ax = 0x0201, .bx = (u32)BUFFER, .cx = 1, .dx = boot_drive};
  bios(0x13, &r);
  check_eq("task/disk-read/ah", high(r.ax), 0);
  check("task/disk-read/boot-sector", same(BUFFER, (void*)0x7C00, 16));

  u32 start = peek16(0x40, 0x6C), turns = 0;
  while (peek16(0x40, 0x6C) == start && ++turns < 200000000) {
  }
  check("task/timer-interrupts-arrive", peek16(0x40, 0x6C) != start);
}

static void memory(void) {
  poke8(0, 0x500, 0x12);
  poke8(0xFFFF, 0x510, 0x34);
  check_eq("task/wraps-by-paging", peek8(0, 0x500), 0x34);
  poke8(ABSENT >> 4, 5, 0x77);
  check_eq("task/absent-page-comes", peek8(ABSENT >> 4, 5), 0x77);
  outb(TRAPPED_PORT, 0xA5);
}

void on_divide(void);
void on_undefined(void);
void on_breakpoint(void);
void on_step(void);
/* Handlers as real-mode programs have them; the first two step over the instruction, which has two bytes. */
#define HANDLER(name, counter, skip)                 \
  asm(".code16gcc\n" #name ":\n\tincl %cs:" #counter \
      "\n\tpushw %bp\n\tmovw %sp, %bp\n\t"           \
      "addw $" #skip ", 2(%bp)\n\tpopw %bp\n\tiretw")
HANDLER(on_divide, divided, 2);
HANDLER(on_undefined, undefined, 2);
HANDLER(on_breakpoint, breakpoints, 0);
HANDLER(on_step, steps, 0);

static void vector(u32 n, void (*handler)(void)) { ((volatile u32*)0)[n] = (u32)handler; }

static void exceptions(void) {
  static u32 saved[8];
  for (u32 i = 0; i < 8; ++i) saved[i] = ((volatile u32*)0)[i];
  vector(0, on_divide);
  vector(1, on_step);
  vector(3, on_breakpoint);
  vector(6, on_undefined);
  asm volatile("movw $1, %%ax\n\tmovb $0, %%dl\n\tdivb %%dl" ::: "ax", "dx", "cc");
  asm volatile("ud2");
  asm volatile("int3");
  asm volatile(
      "pushfw\n\tpopw %%ax\n\torw $0x100, %%ax\n\tpushw %%ax\n\tpopfw\n\tnop\n\tnop\n\t"
      "andw $0xFEFF, %%ax\n\tpushw %%ax\n\tpopfw" ::
          : "ax", "cc");
  for (u32 i = 0; i < 8; ++i) ((volatile u32*)0)[i] = saved[i];
}

static void expect_exceptions(const char* divide, const char* other, const char* breakpoint,
                              const char* step) {
  check_eq(divide, divided, 1);
  check_eq(other, undefined, 1);
  check_eq(breakpoint, breakpoints, 1);
  check(step, steps >= 4);
  divided = undefined = breakpoints = steps = 0;
}

/* Runs in virtual-8086 mode. */
void task(void) {
  flags();
  memory();
  services();
  exceptions();
  expect_exceptions("task/divide", "task/undefined", "task/breakpoint", "task/steps");
  asm volatile("int $0xF0"); /* does not come back */
}

void program(void) {
  exceptions();
  expect_exceptions("real/divide", "real/undefined", "real/breakpoint", "real/steps");
  enter_monitor();
  check_eq("monitor/unexpected", statistics.unexpected, 0);
  check("monitor/emulated-cli-and-sti", statistics.cli >= 2 && statistics.sti >= 2);
  check("monitor/emulated-int", statistics.software >= 6);
  check("monitor/emulated-iret", statistics.iret >= 6);
  check("monitor/reflected-hardware-interrupts", statistics.hardware >= 1);
  check_eq("monitor/page-faults", statistics.page_faults, 1);
  check_eq("monitor/trapped-port", statistics.trapped_out, 0xA5);
  struct Registers r = {0};
  bios(0x12, &r);
  check_eq("real/again", r.ax & 0xFFFF, peek16(0x40, 0x13));
  check_eq("real/again/pe", read_cr0() & (kCr0Pe | kCr0Pg), 0);
}
