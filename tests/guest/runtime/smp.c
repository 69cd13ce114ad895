/* See smp.h. */
#include "smp.h"

struct Processor processors[kMostProcessors];
u32 processor_count = 1;
extern const u8 ap_trampoline[], ap_trampoline_end[];

/* ---- local APIC ---- */
static volatile u32* page_register(u32 reg) { return (volatile u32*)(0xFEE00000ull + reg); }
u32 apic_read(u32 reg) {
  return this_processor()->x2apic ? (u32)rdmsr(0x800 + (reg >> 4)) : *page_register(reg);
}
void apic_write(u32 reg, u32 v) {
  if (this_processor()->x2apic) {
    wrmsr(0x800 + (reg >> 4), v);
  } else {
    *page_register(reg) = v;
  }
}

void ipi(u32 destination, u32 low) {
  if (this_processor()->x2apic) {
    asm volatile("mfence" ::: "memory"); /* the MSR's write does not wait for stores (11.12.3) */
    wrmsr(0x830, (u64)destination << 32 | low);
    return;
  }
  while (apic_read(kApicIcr) & kBusy) asm volatile("pause");
  apic_write(kApicIcrHigh, destination << 24);
  apic_write(kApicIcr, low);
}

static void count(u32 vector) { asm volatile("lock incl %0" : "+m"(this_processor()->taken[vector])); }
bool on_ipi(struct Frame* f) {
  count((u32)f->vector);
  apic_write(kApicEoi, 0);
  return true;
}
bool on_nmi(struct Frame* f) {
  count((u32)f->vector);
  return true;
}

void settle(void) {
  u32 before[kMostProcessors];
  for (u32 i = 0; i < processor_count; ++i) {
    before[i] = processors[i].taken[kPingVector];
    ipi(processors[i].apic_id, kPingVector);
  }
  bool interrupts = read_flags() & kIf;
  sti();
  for (u32 i = 0; i < processor_count; ++i) {
    if (WAIT_UNTIL(processors[i].taken[kPingVector] != before[i])) continue;
    check("settle/a-processor-does-not-answer", false);
    finish();
  }
  if (!interrupts) cli();
}

/* ---- the MADT ---- */
static bool sums_to_zero(const u8* p, u32 length) {
  u8 sum = 0;
  while (length--) sum = (u8)(sum + *p++);
  return sum == 0;
}
static u32 u32_at(const u8* p) {
  u32 v;
  memcpy(&v, p, 4);
  return v;
}
static const u8* find_rsdp(void) {
  for (const u8* p = (const u8*)0xE0000; p < (const u8*)0x100000; p += 16)
    if (same(p, "RSD PTR ", 8) && sums_to_zero(p, 20)) return p;
  return 0;
}
static const u8* find_madt(void) {
  const u8* rsdp = find_rsdp();
  if (!rsdp) return 0;
  const u8* rsdt = (const u8*)(Word)u32_at(rsdp + 16);
  for (u32 i = 36; i < u32_at(rsdt + 4); i += 4) {
    const u8* table = (const u8*)(Word)u32_at(rsdt + i);
    if (same(table, "APIC", 4)) return table;
  }
  return 0;
}

static void add(u32 apic_id) {
  struct Processor* p = &processors[processor_count];
  p->self = p;
  p->index = processor_count++;
  p->apic_id = apic_id;
}

void smp_find(void) {
  struct Processor* boot = &processors[0];
  boot->self = boot;
  wrmsr(kMsrGsBase, (u64)boot);
  boot->apic_id = cpuid(1, 0).b >> 24;
  const u8* madt = find_madt();
  for (u32 i = 44; madt && i < u32_at(madt + 4); i += madt[i + 1]) {
    bool usable = madt[i] == 0 && (u32_at(madt + i + 4) & 1) && madt[i + 3] < kMostApicIds;
    if (usable && madt[i + 3] != boot->apic_id && processor_count < kMostProcessors) add(madt[i + 3]);
  }
  set_handler(kWakeVector, on_ipi);
  set_handler(kPingVector, on_ipi);
  set_handler(kNMI, on_nmi);
  apic_write(kApicSvr, 0x1FF);
  memcpy((void*)kTrampoline, ap_trampoline, (u32)(ap_trampoline_end - ap_trampoline));
}

/* ---- starting and working ---- */
void ap_main(u32 apic_id) {
  struct Processor* p = 0;
  for (u32 i = 1; i < processor_count; ++i)
    if (processors[i].apic_id == apic_id) p = &processors[i];
  if (!p) {
    check("start/an-unknown-processor", false);
    finish();
  }
  wrmsr(kMsrGsBase, (u64)p);
  load_idt(sizeof(struct Gate) * 256 - 1);
  p->x2apic = rdmsr(kMsrApicBase) >> 10 & 1;
  apic_write(kApicSvr, 0x1FF);
  ++p->starts;
  for (;;) {
    cli();
    Work work = p->work;
    if (work) {
      sti();
      work();
      cli();
      asm volatile("" ::: "memory");
      p->work = 0;
    } else {
      asm volatile("sti\n\thlt" ::: "memory");
    }
  }
}

static void pause_for(u64 ticks) {
  for (u64 limit = rdtsc() + ticks; rdtsc() < limit;) asm volatile("pause");
}

bool smp_start(struct Processor* p) {
  u32 before = p->starts;
  ipi(p->apic_id, kInitMode | kLevel | kAssert);
  ipi(p->apic_id, kInitMode | kLevel);
  pause_for(30000000); /* 10 ms and more */
  for (u32 i = 0; i < 2; ++i) {
    ipi(p->apic_id, kStartup | kAssert | kTrampoline >> 12);
    pause_for(1000000);
  }
  return WAIT_UNTIL(p->starts != before);
}

void smp_start_all(void) {
  bool all = true;
  for (u32 i = 1; i < processor_count; ++i) all &= smp_start(&processors[i]);
  check("start/every-processor-reports", all);
  if (!all) finish();
  sti();
}

void smp_run(u32 n, Work work) {
  for (u32 i = 1; i < n; ++i) {
    processors[i].work = work;
    ipi(processors[i].apic_id, kWakeVector);
  }
  work();
  for (u32 i = 1; i < n; ++i) {
    if (WAIT_UNTIL(!processors[i].work)) continue;
    check("run/a-processor-does-not-finish", false);
    finish();
  }
}

u32 smp_rounds(u32 wanted) {
  u32 rounds = processor_count <= 4 ? wanted : wanted * 4 / processor_count;
  return rounds < 2 ? 2 : rounds;
}

void smp_barrier(u32 n) {
  static volatile u32 arrived, turn;
  u32 mine = turn;
  u32 one = 1;
  asm volatile("lock xaddl %0, %1" : "+r"(one), "+m"(arrived)::"memory");
  if (one + 1 == n) {
    arrived = 0;
    asm volatile("" ::: "memory");
    turn = mine + 1;
  } else {
    while (turn == mine) asm volatile("pause" ::: "memory");
  }
}
