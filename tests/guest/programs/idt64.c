/* 64-bit interrupt delivery and return: interrupt and trap gates, IST, stack alignment, ring changes, IRETQ
 * into every kind of code segment and its faults (SDM volume 3, 6.14; volume 2, IRET). */
#include "runtime.h"

const char program_name[] = "idt64";

static struct Frame last;
static Word frame_address;
static bool keep(struct Frame* f) {
  last = *f;
  frame_address = (Word)f;
  return true;
}
static Word flags_inside;
static bool keep_flags(struct Frame* f) {
  last = *f;
  flags_inside = read_flags();
  return true;
}

USER_CODE static void user_int(void) {
  asm volatile("movl $0x1234, %%eax\n\tint $0x91\n\tint $0x80" ::: "rax");
}
USER_CODE static void user_compat_end(void) { asm volatile("int $0x80"); }

static void gates(void) {
  set_handler(0x90, keep_flags);
  sti();
  asm volatile("nop\n\tint $0x90");
  cli();
  check_eq("interrupt-gate/clears-if", flags_inside & kIf, 0);
  check_eq("interrupt-gate/saves-if", last.flags & kIf, kIf);
  idt[0x90].type = 0x8F;
  sti();
  asm volatile("nop\n\tint $0x90");
  Word after = read_flags();
  cli();
  check_eq("trap-gate/keeps-if", flags_inside & kIf, kIf);
  check_eq("trap-gate/if-after", after & kIf, kIf);
  write_flags(2 | kNt | kAcFlag);
  asm volatile("int $0x90");
  write_flags(2);
  check_eq("gate/clears-nt-tf", flags_inside & (kNt | kTf), 0);
  check_eq("gate/saves-nt", last.flags & kNt, kNt);
}

static void alignment(void) {
  set_handler(0x90, keep);
  u32 wrong = 0;
  for (Word skew = 0; skew < 16; ++skew) {
    asm volatile(
        "movq %%rsp, %%rbx\n\tsubq %0, %%rsp\n\tandq $-16, %%rsp\n\tsubq %0, %%rsp\n\tmovq %%rsp, %%rcx\n\t"
        "int $0x90\n\tmovq %%rbx, %%rsp" ::"r"(skew)
        : "rbx", "rcx", "memory", "cc");
    if ((frame_address + sizeof(struct Frame)) & 15) ++wrong;
    if (last.sp != last.cx) ++wrong;
  }
  check_eq("stack/frame-is-aligned-and-rsp-exact", wrong, 0);
  check_eq("stack/ss-saved", last.ss, kDs);
}

static void ist(void) {
  set_handler(0x90, keep);
  for (u8 i = 1; i <= 3; ++i) {
    idt[0x90].ist = i;
    asm volatile("int $0x90");
    check_eq("ist/top-of-stack", frame_address + sizeof(struct Frame), tss.ist[i - 1]);
  }
  u64 saved = tss.ist[1];
  tss.ist[1] -= 24; /* not aligned: the frame is */
  idt[0x90].ist = 2;
  asm volatile("int $0x90");
  check_eq("ist/aligned-down", frame_address + sizeof(struct Frame), (saved - 24) & ~15ull);
  tss.ist[1] = saved;
  idt[0x90].ist = 0;
  idt[0x91].ist = 3;
  idt[0x91].type = 0xEE;
  set_handler(0x91, keep);
  run_user(user_int);
  check_caught("ist/from-ring-3-and-back", 0x80, 0);
  check_eq("ist/from-ring-3", frame_address + sizeof(struct Frame), tss.ist[2]);
  idt[0x91].ist = 0;
  run_user(user_int);
  check_caught("rsp0/from-ring-3-and-back", 0x80, 0);
  check_eq("rsp0/top-of-stack", frame_address + sizeof(struct Frame), tss.rsp[0]);
  check_eq("rsp0/saved-cs", last.cs, kUserCs64);
  check_eq("rsp0/saved-ss", last.ss, kUserDs);
  check_eq("rsp0/rax-through", caught.frame.ax, 0x1234);
}

/* iretq with the given frame; the trap that ends it is in `caught`. */
static int iret_to(Word ip, Word cs, Word flags, Word sp, Word ss) {
  return CATCH(asm volatile("pushq %0\n\tpushq %1\n\tpushq %2\n\tpushq %3\n\tpushq %4\n\t" MARK
                            "iretq" ::"r"(ss),
                            "r"(sp), "r"(flags), "r"(cs), "r"(ip)));
}
void after_iret(void);
asm(".text\nafter_iret: int $0x80");

static void returns(void) {
  Word user_sp = (Word)user_stack + 8192, kernel_sp;
  asm volatile("movq %%rsp, %0" : "=r"(kernel_sp));
  kernel_sp -= 512;
  set_handler(0x80, 0);
#define GOOD(name, to_ip, to_cs, to_flags, to_sp, to_ss) \
  iret_to(to_ip, to_cs, to_flags, to_sp, to_ss);         \
  probe_ip = 0;                                          \
  check_caught(name, 0x80, 0);                           \
  check_eq(name "/cs", caught.frame.cs, to_cs);          \
  check_eq(name "/ss", caught.frame.ss, to_ss)
  GOOD("iretq/same-ring", (Word)after_iret, kCs, 2, kernel_sp & ~15ull, kDs);
  GOOD("iretq/same-ring-null-ss", (Word)after_iret, kCs, 2, kernel_sp & ~15ull, 0);
  GOOD("iretq/ring-3", (Word)user_compat_end, kUserCs64, 2, user_sp, kUserDs);
  GOOD("iretq/ring-3-compatibility", (Word)user_compat_end, kUserCs32, 2, user_sp, kUserDs);
  GOOD("iretq/ring-0-compatibility", (Word)after_iret, kCs32, 2, kernel_sp & ~15ull, kDs);
  GOOD("iretq/odd-rsp", (Word)user_compat_end, kUserCs64, 2, user_sp + 5, kUserDs);
  check_eq("iretq/odd-rsp-kept", caught.frame.sp, user_sp + 5);
#define BAD(name, error, to_ip, to_cs, to_flags, to_sp, to_ss) \
  iret_to(to_ip, to_cs, to_flags, to_sp, to_ss);               \
  check_caught(name, kGP, error)
  BAD("iretq/null-cs", 0, (Word)after_iret, 0, 2, kernel_sp, kDs);
  BAD("iretq/data-as-cs", kDs, (Word)after_iret, kDs, 2, kernel_sp, kDs);
  BAD("iretq/cs-beyond-gdt", 0x400, (Word)after_iret, 0x400, 2, kernel_sp, kDs);
  BAD("iretq/ring-3-cs-of-dpl-0", kCs, (Word)user_compat_end, kCs | 3, 2, user_sp, kUserDs);
  BAD("iretq/ring-3-null-ss", 0, (Word)user_compat_end, kUserCs64, 2, user_sp, 3);
  BAD("iretq/ring-3-ss-rpl-0", kUserDs & ~3, (Word)user_compat_end, kUserCs64, 2, user_sp, kUserDs & ~3);
  BAD("iretq/code-as-ss", kUserCs64 & ~3, (Word)user_compat_end, kUserCs64, 2, user_sp, kUserCs64);
  CATCH(asm volatile("pushfq\n\torl $0x4000, (%%rsp)\n\tpopfq\n\t" MARK "iretq" ::: "memory", "cc"));
  check_caught("iretq/nested-task", kGP, 0);
  iret_to(0x0000800000000000ull, kCs, 2, kernel_sp, kDs);
  check("iretq/non-canonical-rip", caught.vector == kGP && caught.frame.error == 0);
}

USER_CODE static void user_popf(void) {
  asm volatile("pushq $0x3203\n\tpopfq\n\tpushfq\n\tpopq %%rax\n\tint $0x80" ::: "rax", "memory", "cc");
}
USER_CODE static void user_iret(void) {
  asm volatile(
      "movq %%rsp, %%rcx\n\tmovl %%ss, %%edx\n\tpushq %%rdx\n\tpushq %%rcx\n\tpushq $0x3247\n\tmovl %%cs, "
      "%%edx\n\t"
      "pushq %%rdx\n\tleaq 1f(%%rip), %%rdx\n\tpushq %%rdx\n\tiretq\n1: pushfq\n\tpopq %%rax\n\tint $0x80" ::
          : "rax", "rcx", "rdx", "memory", "cc");
}

static void privileged_flags(void) {
  run_user(user_popf);
  check_eq("user/popf-keeps-if-and-iopl", caught.frame.ax & (kIf | kIopl3 | kCf), kCf);
  run_user(user_iret);
  check_caught("user/iretq-to-itself", 0x80, 0);
  check_eq("user/iretq-keeps-if-and-iopl", caught.frame.ax & (kIf | kIopl3 | kCf | kZf | kPf),
           kCf | kZf | kPf);
  run_user_with((Word)user_popf, kUserCs64, kUserDs, 2 | kIopl3);
  check_eq("user/popf-with-iopl-3-sets-if", caught.frame.ax & (kIf | kIopl3), kIf | kIopl3);
}

static u64 compat_result;
/* Far transfers between 64-bit and compatibility code in ring 0, and 32-bit arithmetic there. */
static void compatibility(void) {
  asm volatile(
      "movq $-1, %%rax\n\tpushq %1\n\tleaq 1f(%%rip), %%rcx\n\tpushq %%rcx\n\tlretq\n"
      "1: .code32\n\tinc %%eax\n\tdec %%eax\n\tmovl $0x7FFFFFFF, %%eax\n\taddl $1, %%eax\n\t"
      "ljmp $0x08, $2f\n\t.code64\n2: movq %%rax, %0"
      : "=m"(compat_result)
      : "i"(kCs32)
      : "rax", "rcx", "memory", "cc");
  check_eq("compatibility/far-there-and-back", compat_result, 0x80000000);
  static struct __attribute__((packed)) {
    u64 offset;
    u16 selector;
  } far64;
  asm volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n\tmovw %%cs, %1\n\trex.w ljmp *%0\n\tud2\n1:"
               : "+m"(far64.offset), "=m"(far64.selector)::"rax", "memory");
  check("far/jmp-m16-64", true);
  asm volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n\trex.w lcall *%0\n\tjmp 2f\n1: rex.w lret\n2:"
               : "+m"(far64.offset)::"rax", "memory");
  check("far/call-m16-64-and-lret", true);
}

void program(void) {
  gates();
  alignment();
  ist();
  returns();
  privileged_flags();
  compatibility();
}
