/* Several processors: their start, and interrupts between them in every delivery mode and form of
 * destination, by xAPIC and x2APIC (SDM volume 3, 9.4, 11.4 to 11.12). With one processor it checks what a
 * single one can. */
#include "smp.h"

const char program_name[] = "smp";

enum { kVector = 0x61, kOther = 0x71, kUrgent = 0x81, kSpread = 0x90 };

static u32 count_before[kMostProcessors];
static u32 watched;

/* What every processor has taken of a vector from here on. */
static void watch(u32 vector) {
  watched = vector;
  for (u32 i = 0; i < processor_count; ++i) count_before[i] = processors[i].taken[vector];
}
static u32 taken_by(u32 i) { return processors[i].taken[watched] - count_before[i]; }
/* Whether, since watch(), exactly the processors of the set have taken it, once each. */
static bool only(u64 set) {
  settle();
  for (u32 i = 0; i < processor_count; ++i)
    if (taken_by(i) != (set >> i & 1)) return false;
  return true;
}
static u32 taken_in_all(void) {
  settle();
  u32 sum = 0;
  for (u32 i = 0; i < processor_count; ++i) sum += taken_by(i);
  return sum;
}
static u64 everybody(void) { return processor_count == 64 ? ~0ull : (1ull << processor_count) - 1; }

/* ---- what each processor says of itself ---- */
static volatile u32 wrong[8];
static void mark(u32 which, bool bad) {
  if (bad) asm volatile("lock incl %0" : "+m"(wrong[which]));
}
static void introspect(void) {
  struct Processor* p = this_processor();
  mark(0, cpuid(1, 0).b >> 24 != p->apic_id);
  mark(1, apic_read(kApicId) >> 24 != p->apic_id);
  mark(2, (rdmsr(kMsrApicBase) >> 8 & 1) != (p->index == 0));
  if (cpuid(0, 0).a >= 0xB && cpuid(0xB, 0).b != 0) {
    mark(3, cpuid(0xB, 0).d != p->apic_id || cpuid(0xB, 1).d != p->apic_id);
    /* Two with the same ID above the level of the package are in the same one. */
    u32 package_shift = cpuid(0xB, 1).a & 31, in_package = cpuid(0xB, 1).b & 0xFFFF, same_package = 0;
    for (u32 i = 0; i < processor_count; ++i)
      same_package += processors[i].apic_id >> package_shift == p->apic_id >> package_shift;
    mark(4, same_package > 1u << package_shift || same_package > in_package);
  }
}
static void identity(void) {
  smp_run(processor_count, introspect);
  check_eq("identity/leaf-1", wrong[0], 0);
  check_eq("identity/apic-id-register", wrong[1], 0);
  check_eq("identity/one-bootstrap-processor", wrong[2], 0);
  check_eq("identity/leaf-b", wrong[3], 0);
  check_eq("identity/packages-hold-their-processors", wrong[4], 0);
}

/* ---- start and stop ---- */
static void starting(void) {
  if (processor_count == 1) {
    skip("start", "one processor");
    return;
  }
  struct Processor* p = &processors[processor_count - 1];
  u32 starts = p->starts;
  ipi(p->apic_id, kStartup | kAssert | kTrampoline >> 12);
  settle();
  check_eq("start/sipi-to-a-running-processor-does-nothing", p->starts, starts);
  ipi(0xFF, kInitMode | kLevel | kToAll);
  settle();
  check_eq("start/init-de-assert-does-nothing", p->starts, starts);
  u32 before = p->taken[kVector];
  ipi(p->apic_id, kInitMode | kLevel | kAssert);
  for (u64 limit = rdtsc() + 30000000; rdtsc() < limit;) asm volatile("pause");
  ipi(p->apic_id, kVector);
  for (u64 limit = rdtsc() + 30000000; rdtsc() < limit;) asm volatile("pause");
  check_eq("start/after-init-it-takes-nothing", p->taken[kVector], before);
  check("start/it-starts-again", smp_start(p));
  check_eq("start/once-for-two-sipis", p->starts, starts + 1);
}

static volatile u32 awake;
static void disable_for_a_while(void) {
  if (this_processor()->index != 1) return;
  apic_write(kApicSvr, 0xFF);
  awake = 1;
  WAIT_UNTIL(awake == 2);
  mark(5, apic_read(kApicIrr + (kVector >> 5) * 16) >> (kVector & 31) & 1);
  apic_write(kApicSvr, 0x1FF);
}
static void software_disabled(void) {
  if (processor_count == 1) {
    skip("disabled", "one processor");
    return;
  }
  struct Processor* p = &processors[1];
  u32 fixed = p->taken[kVector], nmi = p->taken[kNMI];
  p->work = disable_for_a_while;
  ipi(p->apic_id, kWakeVector);
  WAIT_UNTIL(awake == 1);
  ipi(p->apic_id, kVector);
  ipi(p->apic_id, kNmiMode);
  check("disabled/takes-nmi", WAIT_UNTIL(p->taken[kNMI] != nmi));
  awake = 2;
  WAIT_UNTIL(!p->work);
  settle();
  check_eq("disabled/takes-no-fixed-interrupt", p->taken[kVector], fixed);
  check_eq("disabled/nor-keeps-it", wrong[5], 0);
}

/* ---- both modes: physical destinations, shorthands, NMI ---- */
static void physical(const char* const names[]) {
  bool good = true;
  for (u32 i = 0; i < processor_count; ++i) {
    watch(kVector);
    ipi(processors[i].apic_id, kVector);
    good &= only(1ull << i);
  }
  check(names[0], good);
  watch(kVector);
  ipi(0, kVector | kToSelf);
  check(names[1], only(1));
  watch(kVector);
  ipi(0, kVector | kToOthers | kAssert);
  check(names[2], only(everybody() & ~1ull));
  watch(kVector);
  ipi(0, kVector | kToAll | kAssert);
  check(names[3], only(everybody()));
  watch(kVector);
  ipi(this_processor()->x2apic ? 0xFFFFFFFF : 0xFF, kVector);
  check(names[4], only(everybody()));
  watch(kNMI);
  ipi(0, kNmiMode | kToOthers | kAssert);
  check(names[5], only(everybody() & ~1ull));
  good = true;
  for (u32 i = 1; i < processor_count; ++i) {
    watch(kNMI);
    ipi(processors[i].apic_id, kNmiMode);
    good &= only(1ull << i);
  }
  check(names[6], good);
  watch(kVector);
  ipi(120, kVector); /* nobody: IDs that topologies give end below */
  check(names[7], only(0));
}
static const char* const kXapicNames[] = {
    "physical/each",      "physical/self", "physical/others", "physical/all-with-self",
    "physical/broadcast", "nmi/others",    "nmi/each",        "physical/nobody"};
static const char* const kX2Names[] = {"x2apic/each",          "x2apic/self",      "x2apic/others",
                                       "x2apic/all-with-self", "x2apic/broadcast", "x2apic/nmi-others",
                                       "x2apic/nmi-each",      "x2apic/nobody"};

/* ---- logical destinations of the xAPIC ---- */
static void go_flat(void) {
  apic_write(kApicDfr, 0xFFFFFFFF);
  u32 index = this_processor()->index;
  apic_write(kApicLdr, index < 8 ? 1u << (24 + index) : 0);
}
static void flat(void) {
  smp_run(processor_count, go_flat);
  u32 n = processor_count < 8 ? processor_count : 8;
  u32 all = (1u << n) - 1;
  bool good = true;
  for (u32 i = 0; i < n; ++i) {
    const u32 sets[] = {1u << i, all & ~(1u << i), all & 3u << i, all & 0x55u << i};
    for (u32 k = 0; k < 4; ++k) {
      watch(kVector);
      ipi(sets[k], kVector | kLogical);
      good &= only(sets[k]);
    }
  }
  check("flat/sets", good);
  watch(kNMI);
  ipi(0xFE, kNmiMode | kLogical);
  check("flat/nmi", only((1ull << n) - 2));
}

static void go_clustered(void) {
  apic_write(kApicDfr, 0x0FFFFFFF);
  u32 index = this_processor()->index;
  apic_write(kApicLdr, index < 60 ? (index / 4 << 4 | 1u << index % 4) << 24 : 0);
}
static void clusters(void) {
  smp_run(processor_count, go_clustered);
  bool good = true;
  for (u32 cluster = 0; cluster < 15 && cluster * 4 < processor_count; ++cluster) {
    for (u32 set = 1; set < 16; set += 2 + cluster % 3) {
      watch(kVector);
      ipi(cluster << 4 | set, kVector | kLogical);
      good &= only((u64)set << cluster * 4 & everybody());
    }
  }
  check("cluster/sets", good);
  watch(kVector);
  ipi(0xFF, kVector | kLogical);
  check("cluster/broadcast", processor_count > 60 ? taken_in_all() >= 60 : only(everybody()));
  smp_run(processor_count, go_flat);
}

/* ---- lowest priority ---- */
static u32 least_busy;
static void set_priority(void) { write_cr8(this_processor()->index == least_busy ? 1 : 2); }
static void no_priority(void) { write_cr8(0); }
static void lowest_priority(const char* one, const char* least) {
  u32 n = processor_count < 8 ? processor_count : 8;
  u32 everyone = this_processor()->x2apic ? 0xFFFFFFFF : (1u << n) - 1;
  if (this_processor()->x2apic) n = processor_count;
  u32 sum = 0;
  bool good = true;
  for (u32 i = 0; i < n; ++i) {
    watch(kVector);
    ipi(everyone, kVector | kLowest | kLogical);
    sum += taken_in_all();
  }
  check_eq(one, sum, n);
  if (oracle_fails(least)) return;
  for (least_busy = 0; least_busy < n; ++least_busy) {
    smp_run(processor_count, set_priority);
    watch(kVector);
    ipi(everyone, kVector | kLowest | kLogical);
    good &= only(1ull << least_busy);
  }
  check(least, good);
  smp_run(processor_count, no_priority);
}

/* ---- everybody to everybody at once ---- */
enum { kRounds = 100 };
static volatile u32 acknowledged[kMostProcessors];
static bool on_spread(struct Frame* f) {
  asm volatile("lock incl %0" : "+m"(acknowledged[f->vector - kSpread]));
  return on_ipi(f);
}
static void to_the_next(void) {
  u32 index = this_processor()->index;
  struct Processor* next = &processors[(index + 1) % processor_count];
  sti();
  for (u32 i = 0; i < smp_rounds(kRounds); ++i) {
    u32 before = acknowledged[index];
    ipi(next->apic_id, kSpread + index);
    if (!WAIT_UNTIL(acknowledged[index] != before)) mark(6, true);
  }
}
static void around(const char* name) {
  for (u32 i = 0; i < processor_count; ++i) set_handler(kSpread + (int)i, on_spread);
  memset((void*)acknowledged, 0, sizeof acknowledged);
  wrong[6] = 0;
  smp_run(processor_count, to_the_next);
  cli();
  for (u32 i = 0; i < processor_count; ++i) mark(6, acknowledged[i] != smp_rounds(kRounds));
  check_eq(name, wrong[6], 0);
}

/* ---- x2APIC ---- */
static void go_x2(void) {
  wrmsr(kMsrApicBase, rdmsr(kMsrApicBase) | 0x400);
  struct Processor* p = this_processor();
  p->x2apic = true;
  mark(7, rdmsr(0x802) != p->apic_id);
  mark(7, rdmsr(0x80D) != ((u64)(p->apic_id >> 4) << 16 | 1u << (p->apic_id & 15)));
}
static u64 of_cluster(u32 cluster, u32 set) {
  u64 result = 0;
  for (u32 i = 0; i < processor_count; ++i) {
    u32 id = processors[i].apic_id;
    if (id >> 4 == cluster && (set >> (id & 15) & 1)) result |= 1ull << i;
  }
  return result;
}
static void x2_clusters(void) {
  static const u16 kSets[] = {1, 2, 3, 0x5555, 0xAAAA, 0xFF00, 0xFFFF, 0x8001};
  bool good = true;
  for (u32 cluster = 0; cluster < 8; ++cluster) {
    for (u32 i = 0; i < sizeof kSets / sizeof *kSets; ++i) {
      watch(kVector);
      ipi(cluster << 16 | kSets[i], kVector | kLogical);
      good &= only(of_cluster(cluster, kSets[i]));
    }
  }
  check("x2apic/clusters", good);
  watch(kVector);
  ipi(0xFFFFFFFF, kVector | kLogical);
  check("x2apic/logical-broadcast", only(everybody()));
  watch(kVector);
  wrmsr(0x83F, kVector);
  check("x2apic/self-ipi-register", only(1));
  watch(kVector);
  ipi(0xFF, kVector); /* an ID of 32 bits like any other, which nobody has */
  check("x2apic/ff-is-no-broadcast", only(0));
}
static void x2(void) {
  if (!cpuid_bit(1, 0, 'c', 21)) {
    skip("x2apic", "not in CPUID");
    return;
  }
  smp_run(processor_count, go_x2);
  check_eq("x2apic/ids", wrong[7], 0);
  physical(kX2Names);
  x2_clusters();
  lowest_priority("x2apic/lowest-takes-one", "x2apic/lowest-takes-the-least-busy");
  around("x2apic/around");
  if (processor_count == 1) return;
  struct Processor* p = &processors[1];
  check("x2apic/starts-again", smp_start(p));
  check("x2apic/init-keeps-the-mode", p->x2apic);
}

/* ---- one time for all ---- */
static volatile u64 latest;
static volatile u32 holder;
static void pass_the_time(void) {
  u32 index = this_processor()->index;
  for (u32 round = 0; round < smp_rounds(50); ++round) {
    if (!WAIT_UNTIL(holder == round * processor_count + index)) return;
    u64 now = rdtsc();
    mark(0, now < latest);
    latest = now;
    asm volatile("lock incl %0" : "+m"(holder));
  }
}
static void time(void) {
  wrong[0] = 0;
  smp_run(processor_count, pass_the_time);
  check_eq("time/the-counter-never-goes-back", wrong[0], 0);
}

void program(void) {
  set_handler(kVector, on_ipi);
  set_handler(kOther, on_ipi);
  set_handler(kUrgent, on_ipi);
  smp_find();
  print("processors: ");
  print_dec(processor_count);
  print("\n");
  smp_start_all();
  identity();
  starting();
  software_disabled();
  physical(kXapicNames);
  flat();
  clusters();
  lowest_priority("lowest/takes-one", "lowest/takes-the-least-busy");
  around("around");
  time();
  x2();
}
