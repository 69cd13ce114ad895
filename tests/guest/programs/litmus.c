/* What several processors may see of each other's stores: litmus tests of the memory model, locked operations
 * also on operands that cross a cache line or a page, code that one processor writes and another runs,
 * accessed and dirty bits, and the shoot-down of a mapping (SDM volume 3, 4.8, 4.10.5, 9.1 to 9.3). Outcomes
 * that the architecture forbids fail; how often the allowed surprises happened is only printed. */
#include "paging.h"
#include "smp.h"

const char program_name[] = "litmus";

enum { kBatch = 512, kBatches = 12, kMostBatches = 96 };
static u32 batches = kBatches;

/* A shared variable alone in its line. */
struct Line {
  volatile u64 v;
  u64 rest[7];
} __attribute__((aligned(64)));

static struct Line x[kBatch], y[kBatch];
static volatile u64 seen[4][2][kBatch];

/* Each processor does its part of an instance: `me` is its number, `i` the instance. */
typedef void (*Part)(u32 me, u32 i);
static Part part;
static u32 participants;

static void batch(void) {
  u32 me = this_processor()->index;
  cli();
  smp_barrier(participants);
  for (u32 i = 0; i < kBatch; ++i) {
    part(me, i);
    /* They drift apart otherwise. */
    if (i % 64 == 63) smp_barrier(participants);
  }
  sti();
}

/* How many instances ended in a way that `bad` knows. */
static u32 run(u32 n, Part p, bool (*bad)(u32 i)) {
  u32 count = 0;
  part = p;
  participants = n;
  for (u32 b = 0; b < batches; ++b) {
    for (u32 i = 0; i < kBatch; ++i) x[i].v = y[i].v = 0;
    smp_run(n, batch);
    for (u32 i = 0; i < kBatch; ++i) count += bad(i);
  }
  return count;
}

#define SEE(me, which, i, from) seen[me][which][i] = (from).v

/* ---- store buffering: 0 0 is allowed, unless something serializes ---- */
static void sb(u32 me, u32 i) {
  struct Line *mine = me ? &y[i] : &x[i], *other = me ? &x[i] : &y[i];
  u64 value;
  asm volatile("movq $1, %1\n\tmovq %2, %0" : "=r"(value), "=m"(mine->v) : "m"(other->v) : "memory");
  seen[me][0][i] = value;
}
static void sb_mfence(u32 me, u32 i) {
  struct Line *mine = me ? &y[i] : &x[i], *other = me ? &x[i] : &y[i];
  u64 value;
  asm volatile("movq $1, %1\n\tmfence\n\tmovq %2, %0"
               : "=r"(value), "=m"(mine->v)
               : "m"(other->v)
               : "memory");
  seen[me][0][i] = value;
}
static void sb_xchg(u32 me, u32 i) {
  struct Line *mine = me ? &y[i] : &x[i], *other = me ? &x[i] : &y[i];
  u64 one = 1, value;
  asm volatile("xchgq %1, %2\n\tmovq %3, %0"
               : "=&r"(value), "+&r"(one), "+m"(mine->v)
               : "m"(other->v)
               : "memory");
  seen[me][0][i] = value;
}
static u64 own_line[2][8] __attribute__((aligned(64)));
static void sb_locked(u32 me, u32 i) {
  struct Line *mine = me ? &y[i] : &x[i], *other = me ? &x[i] : &y[i];
  u64 value;
  asm volatile("movq $1, %1\n\tlock orq $0, %3\n\tmovq %2, %0"
               : "=r"(value), "=m"(mine->v)
               : "m"(other->v), "m"(own_line[me][0])
               : "memory", "cc");
  seen[me][0][i] = value;
}
static void sb_cpuid(u32 me, u32 i) {
  struct Line *mine = me ? &y[i] : &x[i], *other = me ? &x[i] : &y[i];
  mine->v = 1;
  cpuid(0, 0);
  SEE(me, 0, i, *other);
}
static bool both_zero(u32 i) { return seen[0][0][i] == 0 && seen[1][0][i] == 0; }

/* ---- message passing and load buffering ---- */
static void mp(u32 me, u32 i) {
  if (me == 0) {
    asm volatile("movq $1, %0\n\tmovq $1, %1" : "=m"(x[i].v), "=m"(y[i].v)::"memory");
  } else {
    u64 flag, data;
    asm volatile("movq %2, %0\n\tmovq %3, %1"
                 : "=&r"(flag), "=&r"(data)
                 : "m"(y[i].v), "m"(x[i].v)
                 : "memory");
    seen[1][0][i] = flag;
    seen[1][1][i] = data;
  }
}
static bool flag_without_data(u32 i) { return seen[1][0][i] == 1 && seen[1][1][i] == 0; }
static void lb(u32 me, u32 i) {
  struct Line *mine = me ? &y[i] : &x[i], *other = me ? &x[i] : &y[i];
  u64 value;
  asm volatile("movq %2, %0\n\tmovq $1, %1" : "=&r"(value), "=m"(mine->v) : "m"(other->v) : "memory");
  seen[me][0][i] = value;
}
static bool both_one(u32 i) { return seen[0][0][i] == 1 && seen[1][0][i] == 1; }

/* ---- coherence: a location never goes back ---- */
static void corr(u32 me, u32 i) {
  if (me == 0) {
    x[i].v = 1;
  } else {
    SEE(1, 0, i, x[i]);
    SEE(1, 1, i, x[i]);
  }
}
static bool went_back(u32 i) { return seen[1][0][i] == 1 && seen[1][1][i] == 0; }

/* ---- independent reads of independent writes: all agree on the order of stores ---- */
static void iriw(u32 me, u32 i) {
  struct Line *first = me == 2 ? &x[i] : &y[i], *second = me == 2 ? &y[i] : &x[i];
  if (me == 0) x[i].v = 1;
  if (me == 1) y[i].v = 1;
  if (me < 2) return;
  u64 a, b;
  asm volatile("movq %2, %0\n\tmovq %3, %1" : "=&r"(a), "=&r"(b) : "m"(first->v), "m"(second->v) : "memory");
  seen[me][0][i] = a;
  seen[me][1][i] = b;
}
static bool disagree(u32 i) {
  return seen[2][0][i] == 1 && seen[2][1][i] == 0 && seen[3][0][i] == 1 && seen[3][1][i] == 0;
}

static void print_count(const char* name, u32 count) {
  print(name);
  print(": ");
  print_dec(count);
  print(" of ");
  print_dec(kBatch * batches);
  print("\n");
}
static void memory_model(void) {
  if (processor_count == 1) {
    skip("model", "one processor");
    return;
  }
  /* As often as it takes to see what is allowed: a host that runs the two in turn shows nothing. */
  u32 count = run(2, sb, both_zero);
  while (count == 0 && batches < kMostBatches) {
    batches *= 2;
    count = run(2, sb, both_zero);
  }
  print_count("store buffering seen", count);
  check_eq("model/sb-mfence", run(2, sb_mfence, both_zero), 0);
  check_eq("model/sb-xchg", run(2, sb_xchg, both_zero), 0);
  check_eq("model/sb-locked", run(2, sb_locked, both_zero), 0);
  check_eq("model/sb-cpuid", run(2, sb_cpuid, both_zero), 0);
  check_eq("model/mp", run(2, mp, flag_without_data), 0);
  check_eq("model/lb", run(2, lb, both_one), 0);
  check_eq("model/corr", run(2, corr, went_back), 0);
  if (processor_count < 4) {
    skip("model/iriw", "fewer than four processors");
  } else {
    check_eq("model/iriw", run(4, iriw, disagree), 0);
  }
}

/* ---- locked operations ---- */
enum { kAdds = 2000 };
static volatile u64* where; /* the operand */
static volatile u32 errors, workers;
static volatile u64 tickets;
static void fail_once(bool bad) {
  if (bad) asm volatile("lock incl %0" : "+m"(errors));
}
#define LOOP(body) \
  for (u32 i = 0; i < kAdds; ++i) asm volatile(body : "+m"(*where)::"memory", "cc")
static void inc8(void) { LOOP("lock incb %0"); }
static void inc16(void) { LOOP("lock incw %0"); }
static void inc32(void) { LOOP("lock incl %0"); }
static void inc64(void) { LOOP("lock incq %0"); }
static void add64(void) { LOOP("lock addq $1, %0"); }
static void sub64(void) { LOOP("lock subq $-1, %0"); }
static void xadd64(void) {
  u64 last = 0;
  for (u32 i = 0; i < kAdds; ++i) {
    u64 ticket = 1;
    asm volatile("lock xaddq %0, %1" : "+r"(ticket), "+m"(*where)::"memory", "cc");
    fail_once(i != 0 && ticket <= last);
    last = ticket;
    asm volatile("lock addq %1, %0" : "+m"(tickets) : "r"(ticket) : "cc");
  }
}
static void cmpxchg64(void) {
  for (u32 i = 0; i < kAdds; ++i) {
    u64 old = *where;
    bool done;
    do {
      asm volatile("lock cmpxchgq %3, %1" : "=@ccz"(done), "+m"(*where), "+a"(old) : "r"(old + 1) : "memory");
    } while (!done);
  }
}
static void cmpxchg8b(void) {
  for (u32 i = 0; i < kAdds; ++i) {
    u64 old = *where;
    u32 low = (u32)old, high = (u32)(old >> 32);
    bool done;
    do {
      u64 next = (low | (u64)high << 32) + 1;
      asm volatile("lock cmpxchg8b %1"
                   : "=@ccz"(done), "+m"(*where), "+a"(low), "+d"(high)
                   : "b"((u32)next), "c"((u32)(next >> 32))
                   : "memory");
    } while (!done);
  }
}
/* The two halves always hold the same. */
static void cmpxchg16b(void) {
  for (u32 i = 0; i < kAdds; ++i) {
    u64 low = where[0], high = where[1];
    bool done;
    do {
      asm volatile("lock cmpxchg16b %1"
                   : "=@ccz"(done), "+m"(*where), "+a"(low), "+d"(high)
                   : "b"(low + 1), "c"(low + 1)
                   : "memory");
    } while (!done);
    fail_once(low != high);
  }
}
static void spin_bts(void) {
  static volatile u64 guarded;
  for (u32 i = 0; i < kAdds / 4; ++i) {
    bool taken;
    do {
      asm volatile("lock btsq $63, %1" : "=@ccc"(taken), "+m"(*where)::"memory");
      if (taken) asm volatile("pause");
    } while (taken);
    guarded = guarded + 1;
    asm volatile("lock btrq $63, %0" : "+m"(*where)::"memory", "cc");
    asm volatile("lock incq %0" : "+m"(*where)::"memory", "cc");
  }
}
static void spin_xchg(void) {
  static volatile u64 guarded;
  for (u32 i = 0; i < kAdds / 4; ++i) {
    u64 value;
    do {
      value = ~0ull;
      asm volatile("xchgq %0, %1" : "+r"(value), "+m"(*where)::"memory");
      if (value == ~0ull) asm volatile("pause");
    } while (value == ~0ull);
    guarded = guarded + 1;
    ++value;
    asm volatile("xchgq %0, %1" : "+r"(value), "+m"(*where)::"memory"); /* a plain store can be torn */
  }
}

struct Locked {
  const char* name;
  Work work;
  u32 bytes; /* of the operand */
  u32 each;  /* what every processor adds */
};
static const struct Locked kLocked[] = {{"inc8", inc8, 1, kAdds},
                                        {"inc16", inc16, 2, kAdds},
                                        {"inc32", inc32, 4, kAdds},
                                        {"inc64", inc64, 8, kAdds},
                                        {"add64", add64, 8, kAdds},
                                        {"sub64", sub64, 8, kAdds},
                                        {"xadd64", xadd64, 8, kAdds},
                                        {"cmpxchg64", cmpxchg64, 8, kAdds},
                                        {"cmpxchg8b", cmpxchg8b, 8, kAdds},
                                        {"cmpxchg16b", cmpxchg16b, 16, kAdds},
                                        {"bts-lock", spin_bts, 8, kAdds / 4},
                                        {"xchg-lock", spin_xchg, 8, kAdds / 4}};

static void name_of(char* out, const char* a, const char* b) {
  for (; *a; ++a) *out++ = *a;
  for (; *b; ++b) *out++ = *b;
  *out = 0;
}
/* The operand begins `before` bytes before `edge`. */
static void locked_at(const char* group, u8* edge, u32 before) {
  char name[64];
  for (u32 i = 0; i < sizeof kLocked / sizeof *kLocked; ++i) {
    const struct Locked* l = &kLocked[i];
    if (before != 0 && l->bytes < 2) continue;
    if (before != 0 && l->bytes == 16) continue; /* must be aligned */
    u32 back = before == 0 ? 0 : l->bytes / 2;
    where = (volatile u64*)(edge - back);
    memset(edge - 16, 0, 32);
    errors = 0;
    tickets = 0;
    smp_run(workers, l->work);
    u64 total = (u64)l->each * workers;
    u64 mask = l->bytes >= 8 ? ~0ull : (1ull << l->bytes * 8) - 1;
    name_of(name, group, l->name);
    check_eq(name, *where, total & mask);
    bool sums = l->work != xadd64 || tickets == total * (total - 1) / 2;
    if (l->bytes == 16) sums = where[1] == total;
    if (!sums) fail_once(true);
    if (errors != 0) check_eq(name, errors, 0);
  }
}

#define kSplitBase 0x8000000000ull
static u64* pml4;
static void load_tables(void) { write_cr3((Word)pml4); }
static void locked_operations(void) {
  static u8 area[256] __attribute__((aligned(64)));
  locked_at("lock/", area + 64, 0);
  locked_at("lock/across-lines-", area + 128, 1);
  /* Neighbours in the address space that are not so in memory. */
  map(pml4, kSplitBase, (u64)new_page(), 1, kW);
  new_page();
  map(pml4, kSplitBase + 4096, (u64)new_page(), 1, kW);
  locked_at("lock/across-pages-", (u8*)kSplitBase + 4096, 1);
}

/* ---- code that another processor writes ---- */
enum { kVersions = 200 };
static u8 code[4096] __attribute__((aligned(4096)));
static volatile u32 version, finished[kMostProcessors];
static u32 call_code(void) {
  u32 value;
  asm volatile("call *%1" : "=a"(value) : "r"(code) : "memory");
  return value;
}
/* mov $value, %eax; ret */
static void write_code(u32 value) {
  volatile u8* p = code;
  p[0] = 0xB8;
  for (u32 i = 0; i < 4; ++i) p[1 + i] = (u8)(value >> 8 * i);
  p[5] = 0xC3;
}
static bool all_finished(u32 round) {
  for (u32 i = 1; i < workers; ++i)
    if (finished[i] < round) return false;
  return true;
}
/* With the handshake of 9.1.3: flag, then a serializing instruction, then the new code. */
static void modify_and_run(void) {
  u32 me = this_processor()->index;
  for (u32 round = 1; round <= smp_rounds(kVersions); ++round) {
    if (me == 0) {
      write_code(round * 0x01010101u);
      version = round;
      if (!WAIT_UNTIL(all_finished(round))) return;
    } else {
      if (!WAIT_UNTIL(version >= round)) return;
      cpuid(0, 0);
      fail_once(call_code() != round * 0x01010101u);
      finished[me] = round;
    }
  }
}
/* The handler's IRET serializes. */
enum { kCodeVector = 0x62 };
static volatile u32 told[kMostProcessors];
static bool on_code(struct Frame* f) {
  told[this_processor()->index] = version;
  return on_ipi(f);
}
static void modify_and_interrupt(void) {
  u32 me = this_processor()->index;
  for (u32 round = 1; round <= smp_rounds(kVersions); ++round) {
    if (me == 0) {
      write_code(round * 0x11u + 7);
      version = round;
      ipi(0, kCodeVector | kToOthers | kAssert);
      if (!WAIT_UNTIL(all_finished(round))) return;
    } else {
      if (!WAIT_UNTIL(told[me] >= round)) return;
      fail_once(call_code() != round * 0x11u + 7);
      finished[me] = round;
    }
  }
}
/* Data beside code: one processor's stores go where the others run, but change no instruction. */
static void write_beside(void) {
  u32 me = this_processor()->index;
  volatile u64* data = (volatile u64*)(code + 2048);
  if (me == 0) {
    for (u32 i = 0; i < 1000; ++i) asm volatile("lock incq %0" : "+m"(*data)::"cc");
    version = 1;
  } else {
    u64 limit = rdtsc() + kPatience;
    while (version == 0 && rdtsc() < limit) {
      fail_once(call_code() != 0x1234);
      asm volatile("lock incq %0" : "+m"(data[me * 8])::"cc");
      asm volatile("lock decq %0" : "+m"(data[me * 8])::"cc");
    }
  }
}
static void forget(void) {
  version = errors = 0;
  memset((void*)finished, 0, sizeof finished);
  memset((void*)told, 0, sizeof told);
}
static void modified_code(void) {
  workers = processor_count;
  set_handler(kCodeVector, on_code);
  forget();
  smp_run(workers, modify_and_run);
  check_eq("code/after-cpuid", errors, 0);
  check("code/after-cpuid-rounds", all_finished(smp_rounds(kVersions)));
  forget();
  smp_run(workers, modify_and_interrupt);
  check_eq("code/after-interrupt", errors, 0);
  check("code/after-interrupt-rounds", all_finished(smp_rounds(kVersions)));
  forget();
  write_code(0x1234);
  smp_run(workers, write_beside);
  check_eq("code/data-beside", errors, 0);
  check_eq("code/data-beside-count", *(volatile u64*)(code + 2048), 1000);
}

/* ---- accessed and dirty bits ---- */
#define kTableBase 0x8000400000ull
enum { kPages = 32, kSoftware = 0xE00, kTurns = 20 };
static volatile u64* entries;
/* One reads each page, one writes it, and one changes the bits that are software's, all at once. */
static void touch(void) {
  u32 me = this_processor()->index;
  write_cr3((Word)pml4);
  smp_barrier(participants);
  for (u32 i = 0; i < kPages; ++i) {
    volatile u64* page = (volatile u64*)(kTableBase + i * 4096);
    if (me % 3 == 0) (void)*page;
    if (me % 3 == 1) *page = me;
    if (me % 3 == 2 || participants < 3) {
      for (u32 k = 0; k < 3; ++k)
        asm volatile("lock xorq %1, %0" : "+m"(entries[i]) : "r"(0x200ull << k) : "cc");
    }
  }
  smp_barrier(participants);
}
static void table_bits(void) {
  for (u32 i = 0; i < kPages; ++i) map(pml4, kTableBase + i * 4096, (u64)new_page(), 1, kW);
  entries = entry_of(pml4, kTableBase, 1);
  participants = processor_count;
  u32 lost = 0, dirty_lost = 0, changers = 0;
  for (u32 i = 0; i < participants; ++i) changers += i % 3 == 2 || participants < 3;
  for (u32 turn = 0; turn < smp_rounds(kTurns); ++turn) {
    for (u32 i = 0; i < kPages; ++i) entries[i] &= ~(kA | kD | (u64)kSoftware);
    smp_run(participants, touch);
    for (u32 i = 0; i < kPages; ++i) {
      lost += !(entries[i] & kA) || (entries[i] & kSoftware) != (changers & 1 ? kSoftware : 0);
      dirty_lost += participants > 1 && !(entries[i] & kD);
    }
  }
  check_eq("tables/accessed-and-software-bits", lost, 0);
  check_eq("tables/dirty-bit", dirty_lost, 0);
}

/* ---- shoot-down ---- */
#define kShotPage 0x8000800000ull
enum { kShootVector = 0x63, kShots = 100, kShotPages = 4 };
static volatile u32 shot, flushed, handled[kMostProcessors];
static bool on_shoot(struct Frame* f) {
  invlpg(kShotPage);
  handled[this_processor()->index] = shot;
  asm volatile("lock incl %0" : "+m"(flushed));
  return on_ipi(f);
}
/* Shows the page that holds `next`, and comes back when nobody can see the one before it any more. */
static bool shoot(u64* page, u32 next) {
  *page = next;
  shot = next;
  flushed = 0;
  *entry_of(pml4, kShotPage, 1) = (u64)page | kP | kW | kA | kD;
  invlpg(kShotPage);
  ipi(0, kShootVector | kToOthers | kAssert);
  return WAIT_UNTIL(flushed == participants - 1);
}
static void shoot_and_read(void) {
  u32 me = this_processor()->index, last = smp_rounds(kShots);
  if (me == 0) {
    u64* pages[kShotPages];
    for (u32 i = 0; i < kShotPages; ++i) pages[i] = new_page();
    map(pml4, kShotPage, (u64)pages[0], 1, kW);
    smp_barrier(participants);
    for (u32 next = 1; next <= last; ++next) fail_once(!shoot(pages[next % kShotPages], next));
    return;
  }
  smp_barrier(participants);
  u64 limit = rdtsc() + kPatience;
  while (handled[me] < last && rdtsc() < limit) {
    cli(); /* what is handled stays so */
    u64 got = *(volatile u64*)kShotPage;
    fail_once(got != handled[me] && got != handled[me] + 1);
    sti();
  }
}
static void shoot_down(void) {
  set_handler(kShootVector, on_shoot);
  participants = processor_count;
  errors = shot = 0;
  memset((void*)handled, 0, sizeof handled);
  smp_run(participants, shoot_and_read);
  check_eq("tables/shoot-down", errors, 0);
  check_eq("tables/shoot-down-rounds", shot, smp_rounds(kShots));
}

void program(void) {
  pml4 = boot_pml4;
  smp_find();
  print("processors: ");
  print_dec(processor_count);
  print("\n");
  smp_start_all();
  workers = processor_count;
  memory_model();
  locked_operations();
  modified_code();
  smp_run(processor_count, load_tables);
  table_bits();
  shoot_down();
}
