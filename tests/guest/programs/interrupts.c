/* Interrupt controllers and timers of the PC: 8259 pair with PIT, local APIC with its timer, I/O APIC,
 * x2APIC, HPET; and when the processor takes an interrupt (SDM volume 3, 6.8 and chapter 10; Intel 8259A and
 * 82093AA data sheets). Nothing here depends on how fast time passes, only that it does. */
#include "runtime.h"

const char program_name[] = "interrupts";

enum {
  kPicVector = 0x20,
  kSpurious = 0xFF,
  kTimerVector = 0x50,
  kIoVector = 0x58,
  kLow = 0x61,
  kHigh = 0x91
};

static volatile u32 taken[256];
static volatile u8 order[64];
static volatile u32 order_count;
static bool eoi_by_hand;
static bool x2apic;

static u32 apic_read(u32 reg) {
  if (x2apic) return (u32)rdmsr(0x800 + (reg >> 4));
  return *(volatile u32*)(0xFEE00000ull + reg);
}
static void apic_write(u32 reg, u32 v) {
  if (x2apic) {
    wrmsr(0x800 + (reg >> 4), v);
  } else {
    *(volatile u32*)(0xFEE00000ull + reg) = v;
  }
}
enum {
  kTpr = 0x80,
  kPpr = 0xA0,
  kEoi = 0xB0,
  kSvr = 0xF0,
  kIsr = 0x100,
  kIrr = 0x200,
  kIcr = 0x300,
  kIcrHigh = 0x310,
  kLvtTimer = 0x320,
  kLint0 = 0x350,
  kInitial = 0x380,
  kCurrent = 0x390,
  kDivide = 0x3E0
};

static bool bank_bit(u32 bank, u32 vector) {
  return apic_read(bank + (vector >> 5) * 16) >> (vector & 31) & 1;
}
static void ipi_self(u32 vector) { apic_write(kIcr, vector | 1 << 18); }

static bool on_pic(struct Frame* f) {
  ++taken[f->vector];
  if (!eoi_by_hand) outb(0x20, 0x20);
  return true;
}
static bool on_apic(struct Frame* f) {
  ++taken[f->vector];
  if (order_count < 64) order[order_count++] = (u8)f->vector;
  if (!eoi_by_hand) apic_write(kEoi, 0);
  return true;
}

/* With interrupts on, until the count has grown by n; false after a long while. */
static bool wait_for(u32 vector, u32 n) {
  u32 goal = taken[vector] + n;
  u64 limit = rdtsc() + 20000000000ull;
  sti();
  while (taken[vector] < goal && rdtsc() < limit) asm volatile("pause");
  cli();
  return taken[vector] >= goal;
}
/* A moment with interrupts on: what is pending gets in. */
static void breathe(void) { asm volatile("sti\n\tnop\n\tnop\n\tcli" ::: "memory"); }

static void pit_start(u16 divisor) {
  outb(0x43, 0x34);
  outb(0x40, (u8)divisor);
  outb(0x40, (u8)(divisor >> 8));
}
static void pit_stop(void) { outb(0x43, 0x30); /* mode 0 without a count: no edge */ }
static u8 pic_irr(void) {
  outb(0x20, 0x0A);
  return inb(0x20);
}
static u8 pic_isr(void) {
  outb(0x20, 0x0B);
  return inb(0x20);
}
static bool pic_pending(void) {
  u64 limit = rdtsc() + 20000000000ull;
  while (!(pic_irr() & 1) && rdtsc() < limit) asm volatile("pause");
  return pic_irr() & 1;
}

static void pic(void) {
  static const u8 kInit[][2] = {{0x20, 0x11}, {0xA0, 0x11}, {0x21, kPicVector}, {0xA1, kPicVector + 8},
                                {0x21, 4},    {0xA1, 2},    {0x21, 1},          {0xA1, 1},
                                {0x21, 0xFF}, {0xA1, 0xFF}};
  for (u32 i = 0; i < sizeof kInit / 2; ++i) outb(kInit[i][0], kInit[i][1]);
  set_handler(kPicVector, on_pic);
  check_eq("pic/mask-reads-back", inb(0x21), 0xFF);
  pit_start(1193);
  check("pic/masked-line-is-pending", pic_pending());
  breathe();
  check_eq("pic/masked-line-is-not-taken", taken[kPicVector], 0);
  outb(0x21, 0xFE);
  check("pic/ticks", wait_for(kPicVector, 5));
  check("pic/more-ticks", wait_for(kPicVector, 5));
  for (u32 i = 0; i < 5; ++i) asm volatile("sti\n\thlt\n\tcli" ::: "memory");
  check("pic/hlt-wakes", taken[kPicVector] >= 15);
  eoi_by_hand = true;
  check("pic/one-without-eoi", wait_for(kPicVector, 1));
  check("pic/in-service", pic_isr() & 1);
  u32 before = taken[kPicVector];
  check("pic/next-is-pending", pic_pending());
  breathe();
  check_eq("pic/blocked-without-eoi", taken[kPicVector], before);
  outb(0x20, 0x60); /* specific EOI of line 0 */
  check_eq("pic/specific-eoi", pic_isr() & 1, 0);
  breathe();
  check_eq("pic/then-taken", taken[kPicVector], before + 1);
  outb(0x20, 0x20);
  eoi_by_hand = false;
}

static void shadows(void) {
  check("shadow/pending", pic_pending());
  u32 before = taken[kPicVector];
  asm volatile("sti\n\tcli" ::: "memory");
  check_eq("shadow/sti-then-cli-lets-nothing-in", taken[kPicVector], before);
  check("shadow/still-pending", pic_pending());
  /* One at least: on a slow host the timer is due again before the cli. */
  asm volatile("sti\n\tnop\n\tcli" ::: "memory");
  check("shadow/sti-then-nop-lets-one-in", taken[kPicVector] > before);
  check("shadow/pending-again", pic_pending());
  before = taken[kPicVector];
  Word flags = read_flags();
  asm volatile("pushq %0\n\torq $0x200, (%%rsp)\n\tpopfq\n\tcli" ::"r"(flags) : "memory", "cc");
  check("shadow/popf-has-none", taken[kPicVector] > before);
  outb(0x21, 0xFF);
  pit_stop();
}

static void pit_counter(void) {
  outb(0x43, 0x34);
  outb(0x40, 0xFF);
  outb(0x40, 0xFF);
  u32 changes = 0, last = 0x10000;
  u64 limit = rdtsc() + 20000000000ull;
  while (changes < 5 && rdtsc() < limit) {
    outb(0x43, 0); /* latch */
    u32 now = inb(0x40);
    now |= (u32)inb(0x40) << 8;
    if (now != last) ++changes;
    last = now;
  }
  check_eq("pit/counts", changes, 5);
  outb(0x43, 0xE2); /* read-back: status of channel 0 */
  check_eq("pit/read-back-status", inb(0x40) & 0x3F, 0x34);
  outb(0x61, (u8)((inb(0x61) & ~3) | 1)); /* channel 2: gate on, speaker off */
  outb(0x43, 0xB0);
  outb(0x42, 0x00);
  outb(0x42, 0x10);
  limit = rdtsc() + 20000000000ull;
  while (!(inb(0x61) & 0x20) && rdtsc() < limit) asm volatile("pause");
  check("pit/channel-2-output", inb(0x61) & 0x20);
  pit_stop();
}

static void local_apic_ipis(void) {
  static const u8 kVectors[] = {kTimerVector, kIoVector, kLow, kHigh, kLow + 1};
  for (u32 i = 0; i < sizeof kVectors; ++i) set_handler(kVectors[i], on_apic);
  u32 before = taken[kLow];
  ipi_self(kLow);
  check("apic/irr", bank_bit(kIrr, kLow));
  check_eq("apic/not-taken-with-if-clear", taken[kLow], before);
  breathe();
  check_eq("apic/taken", taken[kLow], before + 1);
  check("apic/irr-clear", !bank_bit(kIrr, kLow));
  order_count = 0;
  ipi_self(kLow);
  ipi_self(kHigh);
  ipi_self(kLow + 1);
  breathe();
  check("apic/priority-order",
        order_count == 3 && order[0] == kHigh && order[1] == kLow + 1 && order[2] == kLow);
  write_cr8(kLow >> 4);
  check_eq("tpr/cr8-is-its-upper-half", apic_read(kTpr), (kLow >> 4) << 4);
  before = taken[kLow];
  ipi_self(kLow);
  breathe();
  check_eq("tpr/blocks-its-class", taken[kLow], before);
  u32 high = taken[kHigh];
  ipi_self(kHigh);
  breathe();
  check_eq("tpr/higher-class-passes", taken[kHigh], high + 1);
  write_cr8((kLow >> 4) - 1);
  breathe();
  check_eq("tpr/lowered", taken[kLow], before + 1);
  apic_write(kTpr, 0x30);
  check_eq("tpr/cr8-follows", read_cr8(), 3);
  write_cr8(0);
  eoi_by_hand = true;
  ipi_self(kHigh);
  breathe();
  check("isr/set", bank_bit(kIsr, kHigh));
  check_eq("isr/ppr", apic_read(kPpr), kHigh & 0xF0);
  before = taken[kLow];
  ipi_self(kLow);
  breathe();
  check_eq("isr/blocks-lower", taken[kLow], before);
  eoi_by_hand = false;
  apic_write(kEoi, 0);
  check("isr/eoi-clears", !bank_bit(kIsr, kHigh));
  breathe();
  check_eq("isr/then-lower", taken[kLow], before + 1);
}

static void apic_timer(void) {
  apic_write(kDivide, 0xB);
  apic_write(kLvtTimer, kTimerVector);
  apic_write(kInitial, 100000);
  check("timer/one-shot", wait_for(kTimerVector, 1));
  check_eq("timer/stopped-at-zero", apic_read(kCurrent), 0);
  u32 before = taken[kTimerVector];
  for (u32 i = 0; i < 200; ++i) breathe();
  check_eq("timer/only-once", taken[kTimerVector], before);
  apic_write(kLvtTimer, kTimerVector | 1 << 17);
  apic_write(kInitial, 100000);
  check("timer/periodic", wait_for(kTimerVector, 5));
  asm volatile("sti\n\thlt\n\tcli" ::: "memory");
  check("timer/hlt-wakes", true);
  apic_write(kInitial, 0);
  breathe();
  before = taken[kTimerVector];
  for (u32 i = 0; i < 200; ++i) breathe();
  check_eq("timer/count-0-stops", taken[kTimerVector], before);
  apic_write(kLvtTimer, kTimerVector | 1 << 16);
  apic_write(kInitial, 0xFFFFFFFF);
  u32 first = apic_read(kCurrent), second = first;
  u64 limit = rdtsc() + 20000000000ull;
  while (second == first && rdtsc() < limit) second = apic_read(kCurrent);
  check("timer/current-count-falls", second < first);
  apic_write(kInitial, 0);
  if (cpuid_bit(1, 0, 'c', 24)) {
    apic_write(kLvtTimer, kTimerVector | 2 << 17);
    asm volatile("mfence");
    wrmsr(0x6E0, rdtsc() + 100000);
    check("timer/tsc-deadline", wait_for(kTimerVector, 1));
    check_eq("timer/tsc-deadline-is-zero-after", rdmsr(0x6E0), 0);
    wrmsr(0x6E0, 1);
    check("timer/tsc-deadline-in-the-past", wait_for(kTimerVector, 1));
    wrmsr(0x6E0, ~0ull >> 8);
    wrmsr(0x6E0, 0);
    check_eq("timer/tsc-deadline-disarmed", rdmsr(0x6E0), 0);
  } else {
    skip("timer/tsc-deadline", "not in CPUID");
  }
  apic_write(kLvtTimer, 1 << 16);
}

static u32 io_read(u32 reg) {
  *(volatile u32*)0xFEC00000ull = reg;
  return *(volatile u32*)0xFEC00010ull;
}
static void io_write(u32 reg, u32 v) {
  *(volatile u32*)0xFEC00000ull = reg;
  *(volatile u32*)0xFEC00010ull = v;
}

static void io_apic(void) {
  check_eq("ioapic/entries", io_read(1) >> 16 & 0xFF, 23);
  apic_write(kLint0, 1 << 16); /* the 8259 no longer gets through */
  u32 id = apic_read(0x20);
  io_write(0x10 + 2 * 2 + 1, x2apic ? id << 24 : id & 0xFF000000);
  io_write(0x10 + 2 * 2, kIoVector | 1 << 16);
  check_eq("ioapic/entry-reads-back", io_read(0x10 + 2 * 2) & 0x1EFFF, kIoVector | 1 << 16);
  pit_start(1193);
  u32 before = taken[kIoVector];
  for (u32 i = 0; i < 200; ++i) breathe();
  check_eq("ioapic/masked", taken[kIoVector], before);
  io_write(0x10 + 2 * 2, kIoVector);
  check("ioapic/pit-on-line-2", wait_for(kIoVector, 5));
  io_write(0x10 + 2 * 2, kIoVector | 1 << 16);
  breathe();
  before = taken[kIoVector];
  for (u32 i = 0; i < 200; ++i) breathe();
  check_eq("ioapic/masked-again", taken[kIoVector], before);
  pit_stop();
}

static void hpet(void) {
  volatile u64* registers = (volatile u64*)0xFED00000ull;
  u64 capability = registers[0];
  if ((capability & 0xFFFF0000) == 0 || (u32)capability == 0xFFFFFFFF) {
    skip("hpet", "not there");
    return;
  }
  check("hpet/period", capability >> 32 > 0 && capability >> 32 <= 100000000);
  registers[2] = 0;
  registers[0x1E] = 0;
  check_eq("hpet/stopped", registers[0x1E], 0);
  registers[2] = 1;
  u64 limit = rdtsc() + 20000000000ull;
  while (registers[0x1E] < 1000 && rdtsc() < limit) asm volatile("pause");
  check("hpet/counts", registers[0x1E] >= 1000);
  registers[2] = 0;
}

static void x2apic_mode(void) {
  if (!cpuid_bit(1, 0, 'c', 21)) {
    skip("x2apic", "not in CPUID");
    return;
  }
  EXPECT_FAULT("x2apic/msr-before-the-mode", kGP, 0, "rdmsr", : "c"(0x802) : "rax", "rdx");
  u32 id = apic_read(0x20) >> 24;
  wrmsr(kMsrApicBase, rdmsr(kMsrApicBase) | 0x400);
  x2apic = true;
  check_eq("x2apic/id", rdmsr(0x802), id);
  check_eq("x2apic/svr-kept", rdmsr(0x80F) & 0x1FF, 0x100 | kSpurious);
  u32 before = taken[kLow];
  wrmsr(0x830, (u64)id << 32 | kLow);
  breathe();
  check_eq("x2apic/icr-is-64-bits", taken[kLow], before + 1);
  wrmsr(0x83F, kLow);
  breathe();
  check_eq("x2apic/self-ipi", taken[kLow], before + 2);
  EXPECT_FAULT("x2apic/eoi-nonzero", kGP, 0, "wrmsr", : "c"(0x80B), "a"(1), "d"(0));
  EXPECT_FAULT("x2apic/reserved-register", kGP, 0, "rdmsr", : "c"(0x80E) : "rax", "rdx");
  EXPECT_FAULT("x2apic/id-is-read-only", kGP, 0, "wrmsr", : "c"(0x802), "a"(1), "d"(0));
  EXPECT_FAULT("x2apic/back-to-xapic", kGP, 0, "wrmsr",
               : "c"(kMsrApicBase), "a"((u32)rdmsr(kMsrApicBase) & ~0x400u), "d"(0));
  write_cr8(9);
  check_eq("x2apic/tpr", rdmsr(0x808), 0x90);
  write_cr8(0);
  apic_timer();
}

void program(void) {
  apic_write(kSvr, 0x100 | kSpurious);
  apic_write(kLint0, 0x700); /* virtual wire: the 8259 pair */
  write_cr8(0);
  pic();
  shadows();
  pit_counter();
  local_apic_ipis();
  apic_timer();
  io_apic();
  hpet();
  x2apic_mode();
}
