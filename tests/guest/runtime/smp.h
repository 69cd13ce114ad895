/* Several processors in a 64-bit guest program: they are found in the MADT, started by INIT-SIPI-SIPI, and
 * then wait halted for work. Each has its own stack and a struct Processor behind GS (SDM volume 3, 9.4
 * and 11.6). */
#pragma once
#include "runtime.h"

enum { kMostProcessors = 64, kMostApicIds = 128, kTrampoline = 0x8000 };
enum { kWakeVector = 0x40, kPingVector = 0x41 };

typedef void (*Work)(void);

struct Processor {
  struct Processor* self; /* first: what GS:0 is */
  u32 index;              /* as the MADT lists them, but the bootstrap processor is 0 */
  u32 apic_id;            /* as the MADT has it */
  volatile bool x2apic;
  volatile u32 starts;     /* how often it has come out of a SIPI */
  Work volatile work;      /* what it is to do, or 0 */
  volatile u32 taken[256]; /* interrupts by vector */
} __attribute__((aligned(64)));

extern struct Processor processors[kMostProcessors];
extern u32 processor_count;

static inline struct Processor* this_processor(void) {
  struct Processor* p;
  asm volatile("mov %%gs:0, %0" : "=r"(p));
  return p;
}

/* Reads the MADT and enables the bootstrap processor's APIC. processor_count is 1 if there is no MADT. */
void smp_find(void);
/* INIT, SIPI, SIPI to one processor; false if it does not report. */
bool smp_start(struct Processor* p);
void smp_start_all(void);
/* Processors 0 to n - 1 do it, each once; returns when all have. */
void smp_run(u32 n, Work work);
/* How often to repeat something: fewer times with many processors, which the host may have to take in turn.
 */
u32 smp_rounds(u32 wanted);
/* Every one of the n processors that take part waits here for the others. */
void smp_barrier(u32 n);

/* ---- local APIC, by whichever mode the processor is in ---- */
enum {
  kApicId = 0x20,
  kApicTpr = 0x80,
  kApicEoi = 0xB0,
  kApicLdr = 0xD0,
  kApicDfr = 0xE0,
  kApicSvr = 0xF0,
  kApicIrr = 0x200,
  kApicEsr = 0x280,
  kApicIcr = 0x300,
  kApicIcrHigh = 0x310
};
enum {
  kFixed = 0 << 8,
  kLowest = 1 << 8,
  kNmiMode = 4 << 8,
  kInitMode = 5 << 8,
  kStartup = 6 << 8,
  kLogical = 1 << 11,
  kBusy = 1 << 12,
  kAssert = 1 << 14,
  kLevel = 1 << 15,
  kToSelf = 1 << 18,
  kToAll = 2 << 18,
  kToOthers = 3 << 18
};
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 v);
/* `low`: vector, mode and so on. */
void ipi(u32 destination, u32 low);
/* Counts in Processor.taken, and ends the interrupt: the handler for IPIs. */
bool on_ipi(struct Frame* f);
/* As the last one, for NMIs. */
bool on_nmi(struct Frame* f);
/* After it, whatever was sent before to any processor has been taken, if it is of a higher priority class. */
void settle(void);

/* Waits, for some seconds at most. */
#define kPatience 60000000000ull
#define WAIT_UNTIL(condition)                                                    \
  ({                                                                             \
    u64 limit_ = rdtsc() + kPatience;                                            \
    while (!(condition) && rdtsc() < limit_) asm volatile("pause" ::: "memory"); \
    (condition);                                                                 \
  })
