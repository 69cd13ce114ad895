/* Single step, breakpoints and debug registers (SDM volume 3, 17.2 and 17.3). */
#include "paging.h"

const char program_name[] = "debug";

static Word hits[256], hit_dr6[256];
static u32 count;

static bool record(struct Frame* f) {
  if (count < 256) {
    hits[count] = f->ip;
    hit_dr6[count] = read_dr6();
  }
  ++count;
  write_dr6(0xFFFF0FF0);
  if (count > 4096) f->flags &= ~(Word)kTf;
  return true;
}

/* Routines of debug_code.S and the addresses that each one's single steps must report. */
struct Steps {
  const char* name;
  void (*run)(void);
  const Word* expected;
};
extern const Word steps_plain[], steps_rep[], steps_ss[], steps_system[], steps_branch[], steps_popf[];
void run_plain(void), run_rep(void), run_ss(void), run_system(void), run_branch(void), run_popf(void);
extern volatile u64 pushed_flags;

static void single_step(void) {
  static const struct Steps kAll[] = {
      {"tf/plain", run_plain, steps_plain},      {"tf/rep", run_rep, steps_rep},
      {"tf/mov-ss", run_ss, steps_ss},           {"tf/system", run_system, steps_system},
      {"tf/branches", run_branch, steps_branch}, {"tf/popf", run_popf, steps_popf}};
  for (u32 i = 0; i < 6; ++i) {
    count = 0;
    kAll[i].run();
    u32 n = 0, wrong = 0, source = 0;
    for (; kAll[i].expected[n]; ++n) {
      if (n >= count || hits[n] != kAll[i].expected[n]) {
        if (!wrong++) {
          print("first difference at step ");
          print_dec(n);
          print(" got ");
          print_hex(n < count ? hits[n] : 0);
          print(" want ");
          print_hex(kAll[i].expected[n]);
          print("\n");
        }
      } else if ((hit_dr6[n] & 0xE00F) != 0x4000) {
        ++source;
      }
    }
    check(kAll[i].name, wrong == 0 && count == n);
    check_eq("tf/dr6-says-single-step", source, 0);
  }
  check("tf/pushf-shows-tf", pushed_flags & kTf);
  count = 0;
  asm volatile(
      "pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tint $0x90\n\tnop\n\tpushfq\n\tandl $~0x100, "
      "(%%rsp)\n\tpopfq" ::
          : "memory", "cc");
  check_eq("tf/int-steps-from-the-handler's-return", count, 4);
}

static volatile u64 watched[4] __attribute__((aligned(32)));
extern u8 break_here[];
u64 break_routine(void);

static u64 dr7(u32 index, u32 type, u32 length) {
  return 0x400 | 2ull << (2 * index) | (u64)(type | length << 2) << (16 + 4 * index);
}

static void breakpoints(void) {
  count = 0;
  write_dr0((Word)break_here);
  write_dr6(0xFFFF0FF0);
  write_dr7(dr7(0, 0, 0));
  CATCH(break_routine());
  write_dr7(0x400);
  check_eq("execute/hits", count, 0);
  check_caught("execute/is-a-debug-exception", kDB, 0);
  check_eq("execute/rip-is-the-instruction", caught.frame.ip, (Word)break_here);
  check_eq("execute/dr6", caught.dr6 & 0xE00F, 1);
  check("execute/rf-clear-in-saved-flags", !(caught.frame.flags & kRf));
}

static bool resume(struct Frame* f) {
  ++count;
  hits[0] = f->ip;
  hit_dr6[0] = read_dr6();
  write_dr6(0xFFFF0FF0);
  f->flags |= kRf;
  return true;
}

static void resumed(void) {
  set_handler(kDB, resume);
  count = 0;
  write_dr0(0);
  write_dr1((Word)break_here);
  write_dr7(dr7(1, 0, 0));
  u64 value = break_routine();
  value += break_routine();
  write_dr7(0x400);
  check_eq("execute/rf-resumes", count, 2);
  check_eq("execute/result", value, 2 * 42);
  check_eq("execute/dr6-b1", hit_dr6[0] & 0xE00F, 2);
}

#define WATCH(name, type, length, at, insn, want_hits)                                                \
  do {                                                                                                \
    count = 0;                                                                                        \
    write_dr2((Word)watched + (at));                                                                  \
    write_dr6(0xFFFF0FF0);                                                                            \
    write_dr7(dr7(2, type, length));                                                                  \
    asm volatile(MARK_AFTER(insn)::"r"(watched), "r"(0x77ull) : "rax", "rcx", "rdi", "memory", "cc"); \
    write_dr7(0x400);                                                                                 \
    check_eq(name, count, want_hits);                                                                 \
    if (want_hits && count) {                                                                         \
      check_eq(name "/rip-after", hits[0] - probe_ip, 0);                                             \
      check_eq(name "/dr6", hit_dr6[0] & 0xE00F, 4);                                                  \
    }                                                                                                 \
  } while (0)

static void watchpoints(void) {
  set_handler(kDB, record);
  WATCH("write/8", 1, 2, 8, "movq %1, 8(%0)", 1);
  check_eq("write/is-a-trap", watched[1], 0x77);
  WATCH("write/8-read-is-silent", 1, 2, 8, "movq 8(%0), %%rax", 0);
  WATCH("access/8-read", 3, 2, 8, "movq 8(%0), %%rax", 1);
  WATCH("access/8-write", 3, 2, 8, "movq %1, 8(%0)", 1);
  WATCH("write/byte", 1, 0, 3, "movb %b1, 3(%0)", 1);
  WATCH("write/byte-beside", 1, 0, 3, "movb %b1, 4(%0)", 0);
  WATCH("write/byte-inside-a-wider-store", 1, 0, 3, "movq %1, (%0)", 1);
  WATCH("write/4-partly", 1, 3, 4, "movl %k1, 6(%0)", 1);
  WATCH("write/4-before", 1, 3, 4, "movl %k1, (%0)", 0);
  WATCH("write/read-modify-write", 1, 3, 4, "addl %k1, 4(%0)", 1);
  WATCH("write/rep-stos-last", 1, 2, 24, "movl $4, %%ecx\n\tmovq %0, %%rdi\n\trep stosq", 1);
}

static void registers(void) {
  check_eq("dr7/bit-10-reads-1", read_dr7() & 0xFFFF0000DC00ull, 0x400);
  write_dr6(0);
  check_eq("dr6/fixed-bits", read_dr6() & 0xFFFF1FF0, 0xFFFF0FF0);
  EXPECT_FAULT("dr6/high-half", kGP, 0, "mov %0, %%db6", : "r"(1ull << 32));
  EXPECT_FAULT("dr7/high-half", kGP, 0, "mov %0, %%db7", : "r"(1ull << 32 | 0x400));
  write_dr3(0x123456789ABCull);
  check_eq("dr3/keeps-64-bits", read_dr3(), 0x123456789ABCull);
  write_dr6(0xFFFF0FF0);
  u64 v;
  asm volatile("mov %%db4, %0" : "=r"(v));
  check_eq("dr4/is-dr6", v, read_dr6());
  write_cr4(read_cr4() | kCr4De);
  EXPECT_FAULT("dr4/ud-with-de", kUD, 0, "mov %%db4, %%rax", : : "rax");
  EXPECT_FAULT("dr5/ud-with-de", kUD, 0, "mov %%rax, %%db5", :);
  write_cr4(read_cr4() & ~(Word)kCr4De);
  set_handler(kDB, 0);
  write_dr7(0x2400);
  EXPECT_FAULT("gd/faults", kDB, 0, "mov %%db0, %%rax", : : "rax");
  check_eq("gd/dr6", caught.dr6 & 0xE00F, 0x2000);
  check_eq("gd/cleared-on-entry", read_dr7() & 0x2000, 0);
}

USER_CODE static void user_dr(void) { asm volatile("mov %%db0, %%rax" ::: "rax"); }
USER_CODE static void user_step(void) {
  asm volatile("pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tnop" ::: "memory", "cc");
}

static void ring3(void) {
  run_user(user_dr);
  check_caught("user/mov-dr", kGP, 0);
  write_dr6(0xFFFF0FF0);
  run_user(user_step);
  check_caught("user/single-step", kDB, 0);
  check_eq("user/single-step-dr6", caught.dr6 & 0xE00F, 0x4000);
  write_dr6(0xFFFF0FF0);
  write_dr0((Word)watched);
  write_dr7(dr7(0, 1, 2) | 1);
  EXPECT_TRAP("icebp/vector", kDB, 0, ".byte 0xf1", :);
  check_eq("icebp/dr6-untouched", caught.dr6 & 0xE00F, 0);
  write_dr7(0x400);
}

static bool int_0x90(struct Frame* f) {
  (void)f;
  return true;
}

void program(void) {
  set_handler(kDB, record);
  set_handler(0x90, int_0x90);
  single_step();
  set_handler(kDB, 0);
  breakpoints();
  resumed();
  watchpoints();
  registers();
  ring3();
}
