/* Every exception that 64-bit code can raise: vector, error code, saved rip, RF, and what a failed delivery
 * becomes (SDM volume 3, chapter 6: 6.5, 6.13, 6.15). INTO and BOUND are in insn32, #TS is in task32. */
#include "runtime.h"

const char program_name[] = "exceptions";

static const u64 kNonCanonical = 0x0000800000000000ull;
static const u64 kUnmapped = 0x0000001000000000ull;

static void divide(void) {
  EXPECT_FAULT("de/div-by-zero", kDE, 0, "divl %0", : "r"(0), "a"(1), "d"(0));
  check_eq("de/rax-kept", caught.frame.ax, 1);
  EXPECT_FAULT("de/div-overflow", kDE, 0, "divl %0", : "r"(2), "a"(0), "d"(2));
  EXPECT_FAULT("de/idiv-min-by-minus-one", kDE, 0, "idivl %0", : "r"(-1), "a"(0x80000000), "d"(-1));
  EXPECT_FAULT("de/div-64", kDE, 0, "divq %0", : "r"(5ull), "a"(0ull), "d"(5ull));
  EXPECT_FAULT("de/idiv-64", kDE, 0, "idivq %0", : "r"(1ull), "a"(1ull << 63), "d"(0ull));
  EXPECT_FAULT("de/div-8", kDE, 0, "divb %b0", : "c"(1), "a"(0x1FF));
  EXPECT_FAULT("de/idiv-16", kDE, 0, "idivw %w0", : "c"(1), "a"(0x8000), "d"(0));
  EXPECT_FAULT("de/memory-operand", kDE, 0, "divl %0", : "m"((u32){0}), "a"(7), "d"(0));
  check("de/fault-sets-rf", caught.frame.flags & kRf);
  EXPECT_OK("de/largest-quotient", "divl %0", : "r"(2), "a"(0xFFFFFFFF), "d"(1));
}

static void software(void) {
  EXPECT_TRAP("bp/int3", kBP, 0, "int3", :);
  check("bp/trap-clears-rf", !(caught.frame.flags & kRf));
  EXPECT_TRAP("bp/int-3-long-form", kBP, 0, ".byte 0xcd, 3", :);
  EXPECT_TRAP("of/int-4", kOF, 0, "int $4", :);
  EXPECT_TRAP("db/icebp", kDB, 0, ".byte 0xf1", :);
  EXPECT_TRAP("int/0x80", 0x80, 0, "int $0x80", :);
  EXPECT_TRAP("int/0xff", 0xFF, 0, "int $0xff", :);
}

static void invalid_opcode(void) {
  EXPECT_FAULT("ud/ud2", kUD, 0, "ud2", :);
  check("ud/fault-sets-rf", caught.frame.flags & kRf);
  EXPECT_FAULT("ud/ud1", kUD, 0, ".byte 0x0f, 0xb9, 0xc0", :);
  EXPECT_FAULT("ud/ud0", kUD, 0, ".byte 0x0f, 0xff, 0xc0", :);
  EXPECT_FAULT("ud/lock-on-register", kUD, 0, ".byte 0xf0, 0x01, 0xc0", :);
  EXPECT_FAULT("ud/lock-mov", kUD, 0, ".byte 0xf0, 0x89, 0x04, 0x24", :);
  EXPECT_FAULT("ud/lock-cmp", kUD, 0, ".byte 0xf0, 0x39, 0x04, 0x24", :);
  EXPECT_FAULT("ud/push-es", kUD, 0, ".byte 0x06", :);
  EXPECT_FAULT("ud/pusha", kUD, 0, ".byte 0x60", :);
  EXPECT_FAULT("ud/daa", kUD, 0, ".byte 0x27", :);
  EXPECT_FAULT("ud/into", kUD, 0, ".byte 0xce", :);
  EXPECT_FAULT("ud/salc", kUD, 0, ".byte 0xd6", :);
  EXPECT_FAULT("ud/far-jmp-immediate", kUD, 0, ".byte 0xea, 0, 0, 0, 0, 8, 0", :);
  EXPECT_FAULT("ud/mov-to-cs", kUD, 0, ".byte 0x8e, 0xc8", : "a"(8));
  EXPECT_FAULT("ud/mov-cr1", kUD, 0, ".byte 0x0f, 0x20, 0xc8", :);
  EXPECT_FAULT("ud/lea-register", kUD, 0, ".byte 0x8d, 0xc0", :);
  EXPECT_FAULT("ud/group-5-7", kUD, 0, ".byte 0xff, 0xf8", :);
}

static void not_available(void) {
  Word cr0 = read_cr0();
  write_cr0(cr0 | kCr0Ts);
  EXPECT_FAULT("nm/fninit-ts", kNM, 0, "fninit", :);
  EXPECT_FAULT("nm/fwait-ts-mp", kNM, 0, "fwait", :);
  write_cr0((cr0 | kCr0Ts) & ~(Word)kCr0Mp);
  EXPECT_OK("nm/fwait-ts-without-mp", "fwait", :);
  write_cr0(cr0 | kCr0Em);
  EXPECT_FAULT("nm/fninit-em", kNM, 0, "fninit", :);
  write_cr0(cr0);
}

static void segments(void) {
  gdt[kFreeSel / 8] = descriptor(0, 0xFFFFF, 0x13, 0xC); /* data, not present */
  EXPECT_FAULT("np/mov-fs", kNP, kFreeSel, "mov %w0, %%fs", : "r"(kFreeSel));
  EXPECT_FAULT("ss/mov-ss-not-present", kSS, kFreeSel, "mov %w0, %%ss", : "r"(kFreeSel));
  EXPECT_FAULT("gp/selector-beyond-gdt", kGP, 0x1000, "mov %w0, %%fs", : "r"(0x1000));
  EXPECT_FAULT("gp/selector-in-absent-ldt", kGP, 0x0C, "mov %w0, %%fs", : "r"(0x0C));
  EXPECT_FAULT("gp/mov-ss-null-rpl3", kGP, 0, "mov %w0, %%ss", : "r"(3));
  EXPECT_FAULT("gp/mov-ss-code", kGP, kCs, "mov %w0, %%ss", : "r"(kCs));
}

static void canonical(void) {
  EXPECT_FAULT("gp/load-non-canonical", kGP, 0, "movq (%0), %%rax", : "r"(kNonCanonical) : "rax");
  EXPECT_FAULT("gp/store-non-canonical", kGP, 0, "movq %%rax, (%0)", : "r"(kNonCanonical));
  EXPECT_FAULT("gp/load-crosses-into-the-hole", kGP, 0, "movq -4(%0), %%rax", : "r"(kNonCanonical) : "rax");
  CATCH(asm volatile("movq %%rbp, %%rbx\n\tmovq %0, %%rbp\n\t" MARK "movq (%%rbp), %%rax"
                     :
                     : "r"(kNonCanonical)
                     : "rax", "rbx"));
  check_caught("ss/rbp-non-canonical", kSS, 0);
  idt[kSS].ist = 2;
  idt[kGP].ist = 2;
  CATCH(asm volatile("movq %0, %%rsp\n\t" MARK "pushq %%rax" : : "r"(kNonCanonical + 0x100)));
  check_caught("ss/push-non-canonical", kSS, 0);
  CATCH(asm volatile("movq %0, %%rsp\n\t" MARK "popq %%rax" : : "r"(kNonCanonical + 0x100) : "rax"));
  check_caught("ss/pop-non-canonical", kSS, 0);
  CATCH(asm volatile("movq %0, %%rsp\n\t" MARK "call 1f\n1:" : : "r"(kNonCanonical + 0x100)));
  check_caught("ss/call-non-canonical-stack", kSS, 0);
  idt[kSS].ist = 0;
  idt[kGP].ist = 0;
  EXPECT_FAULT("gp/jmp-non-canonical", kGP, 0, "jmp *%0", : "r"(kNonCanonical));
  CATCH(asm volatile("pushq %0\n\t" MARK "ret" : : "r"(kNonCanonical)));
  check_caught("gp/ret-non-canonical", kGP, 0);
}

static void control_registers(void) {
  if (oracle_fails("gp/control-registers-and-ltr-null")) return;
  EXPECT_FAULT("gp/cr0-pg-without-pe", kGP, 0, "mov %0, %%cr0", : "r"(0x80000010ull));
  EXPECT_FAULT("gp/cr0-high-bits", kGP, 0, "mov %0, %%cr0", : "r"(read_cr0() | 1ull << 40));
  EXPECT_FAULT("gp/cr0-nw-without-cd", kGP, 0, "mov %0, %%cr0",
               : "r"((read_cr0() | 1u << 29) & ~(1ull << 30)));
  EXPECT_FAULT("gp/cr4-without-pae", kGP, 0, "mov %0, %%cr4", : "r"(read_cr4() & ~(Word)kCr4Pae));
  EXPECT_FAULT("gp/cr4-reserved", kGP, 0, "mov %0, %%cr4", : "r"(read_cr4() | 1ull << 40));
  EXPECT_FAULT("gp/cr8-reserved", kGP, 0, "mov %0, %%cr8", : "r"(0x10ull));
  EXPECT_FAULT("gp/cr3-reserved", kGP, 0, "mov %0, %%cr3", : "r"(read_cr3() | 1ull << 62));
  EXPECT_FAULT("gp/ltr-null", kGP, 0, "ltr %w0", : "r"(0));
  EXPECT_FAULT("gp/cr0-pg-off-in-64-bit-code", kGP, 0, "mov %0, %%cr0", : "r"(read_cr0() & ~(Word)kCr0Pg));
}

static void general(void) {
  EXPECT_FAULT("gp/popf-is-fine-but-16-bytes", kGP, 0,
               ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90",
               :);
  EXPECT_OK("gp/15-bytes-are-fine",
            ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90",
            :);
  EXPECT_FAULT("gp/ltr-busy", kGP, kTssSel, "ltr %w0", : "r"(kTssSel));
  EXPECT_FAULT("gp/lldt-of-data", kGP, kDs, "lldt %w0", : "r"(kDs));
}

static void page_fault(void) {
  EXPECT_FAULT("pf/read", kPF, 0, "movq (%0), %%rax", : "r"(kUnmapped + 8) : "rax");
  check_eq("pf/cr2", caught.cr2, kUnmapped + 8);
  check("pf/fault-sets-rf", caught.frame.flags & kRf);
  EXPECT_FAULT("pf/write", kPF, 2, "movb %%al, (%0)", : "r"(kUnmapped));
  EXPECT_FAULT("pf/read-modify-write", kPF, 2, "addl $1, (%0)", : "r"(kUnmapped));
  CATCH(asm volatile("jmp *%0" : : "r"(kUnmapped)));
  probe_ip = kUnmapped;
  check_caught("pf/fetch", kPF, 0x10); /* NXE is on: the fetch is told apart */
  check_eq("pf/fetch-cr2", caught.cr2, kUnmapped);
  EXPECT_FAULT("pf/push-indirect", kPF, 0, "pushq (%0)", : "r"(kUnmapped));
}

USER_CODE static void user_ud(void) { asm volatile("ud2"); }
USER_CODE static void user_hlt(void) { asm volatile("hlt"); }
USER_CODE static void user_cli(void) { asm volatile("cli"); }
USER_CODE static void user_int_kernel_gate(void) { asm volatile("int $0x81"); }
USER_CODE static void user_int3(void) { asm volatile("int3"); }
USER_CODE static void user_write_kernel(void) { *(volatile u32*)0x100000 = 1; }
USER_CODE static void user_read_kernel(void) { (void)*(volatile u32*)0x100000; }
USER_CODE static void user_jump_kernel(void) { asm volatile("jmp *%0" ::"r"(0x100000ull)); }
USER_CODE static void user_rdmsr(void) { asm volatile("rdmsr" ::: "eax", "edx"); }
USER_CODE static void user_mov_cr3(void) { asm volatile("mov %%cr3, %%rax" ::: "rax"); }
USER_CODE static void user_nothing(void) {}
static USER_DATA u64 user_words[4] __attribute__((aligned(16)));
USER_CODE static void user_unaligned(void) {
  asm volatile("pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq\n\tmovl 1(%0), %%eax" ::"r"(user_words) : "rax");
}
USER_CODE static void user_aligned(void) {
  asm volatile(
      "pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq\n\tmovl 4(%0), %%eax\n\tmovb 1(%0), %%al" ::"r"(user_words)
      : "rax");
}

static void expect_user(const char* name, void (*fn)(void), int vector, Word error) {
  run_user(fn);
  check_caught(name, vector, error);
}

static void ring3(void) {
  expect_user("user/returns", user_nothing, 0x80, 0);
  check_eq("user/cs", caught.frame.cs, kUserCs64);
  check_eq("user/ss", caught.frame.ss, kUserDs);
  check("user/rsp",
        caught.frame.sp > (Word)user_stack && caught.frame.sp <= (Word)user_stack + sizeof user_stack);
  expect_user("user/ud2", user_ud, kUD, 0);
  check_eq("user/ud2-rip", caught.frame.ip - (Word)user_ud, 0);
  expect_user("user/hlt", user_hlt, kGP, 0);
  expect_user("user/cli", user_cli, kGP, 0);
  expect_user("user/int-dpl", user_int_kernel_gate, kGP, 0x81 * 8 + 2);
  expect_user("user/int3", user_int3, kBP, 0);
  expect_user("user/write-supervisor", user_write_kernel, kPF, 7);
  check_eq("user/write-supervisor-cr2", caught.cr2, 0x100000);
  expect_user("user/read-supervisor", user_read_kernel, kPF, 5);
  expect_user("user/fetch-supervisor", user_jump_kernel, kPF, 0x15);
  expect_user("user/rdmsr", user_rdmsr, kGP, 0);
  expect_user("user/mov-cr", user_mov_cr3, kGP, 0);
  write_cr0(read_cr0() | kCr0Am);
  expect_user("ac/unaligned-read", user_unaligned, kAC, 0);
  expect_user("ac/aligned-reads", user_aligned, 0x80, 0);
  write_cr0(read_cr0() & ~(Word)kCr0Am);
  expect_user("ac/off-without-am", user_unaligned, 0x80, 0);
}

static u32 kOne = 0x3F800000;

static void floating_point(void) {
  u16 unmasked = 0x37B; /* divide by zero unmasked */
  CATCH(asm volatile("fninit\n\tfldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\t" MARK "fwait" : : "m"(unmasked)));
  check_caught("mf/at-the-next-waiting-instruction", kMF, 0);
  check("mf/fault-sets-rf", caught.frame.flags & kRf);
  EXPECT_OK("mf/non-waiting-goes-on", "fnstsw %%ax", : : "rax");
  EXPECT_FAULT("mf/still-pending", kMF, 0, "fld1", :);
  asm volatile("fnclex\n\tfninit");
  write_cr4(read_cr4() | kCr4Osfxsr | kCr4Osxmmexcpt);
  u32 mxcsr = 0x1F80 & ~0x200u, zero = 0, normal = 0x1F80;
  asm volatile("ldmxcsr %0\n\tmovss %1, %%xmm0\n\tmovss %2, %%xmm1" : : "m"(mxcsr), "m"(kOne), "m"(zero));
  EXPECT_FAULT("xm/divss-by-zero", kXM, 0, "divss %%xmm1, %%xmm0", :);
  u32 bits;
  asm volatile("movss %%xmm0, %0" : "=m"(bits));
  check_eq("xm/destination-kept", bits, kOne);
  asm volatile("stmxcsr %0" : "=m"(bits));
  check_eq("xm/mxcsr-flag", bits, mxcsr | 4);
  write_cr4(read_cr4() & ~(Word)kCr4Osxmmexcpt);
  asm volatile("ldmxcsr %0" : : "m"(mxcsr));
  EXPECT_FAULT("xm/ud-without-osxmmexcpt", kUD, 0, "divss %%xmm1, %%xmm0", :);
  asm volatile("ldmxcsr %0" : : "m"(normal));
  write_cr4(read_cr4() & ~(Word)kCr4Osfxsr);
  EXPECT_FAULT("ud/sse-without-osfxsr", kUD, 0, "addps %%xmm0, %%xmm0", :);
}

static void delivery(void) {
  struct Gate saved = idt[0x81], gp = idt[kGP], ud = idt[kUD];
  idt[0x81].type = 0x0E;
  EXPECT_FAULT("delivery/int-gate-not-present", kNP, 0x81 * 8 + 2, "int $0x81", :);
  idt[0x81].type = 0x8C; /* a 32-bit call gate: no IDT gate type */
  EXPECT_FAULT("delivery/int-bad-gate-type", kGP, 0x81 * 8 + 2, "int $0x81", :);
  idt[0x81] = saved;
  idt[0x81].selector = kDs;
  EXPECT_FAULT("delivery/gate-selector-is-data", kGP, kDs, "int $0x81", :);
  idt[0x81].selector = 0;
  EXPECT_FAULT("delivery/gate-selector-null", kGP, 0, "int $0x81", :);
  idt[0x81].selector = kCs32;
  EXPECT_FAULT("delivery/gate-selector-32-bit-code", kGP, kCs32, "int $0x81", :);
  idt[0x81].selector = 0x300;
  EXPECT_FAULT("delivery/gate-selector-beyond-gdt", kGP, 0x300, "int $0x81", :);
  idt[0x81] = saved;
  idt[0x81].offset2 = 0x8000;
  EXPECT_FAULT("delivery/gate-offset-non-canonical", kGP, 0, "int $0x81", :);
  idt[0x81] = saved;
  load_idt(0x81 * 16 + 14);
  EXPECT_FAULT("delivery/int-beyond-idt", kGP, 0x81 * 8 + 2, "int $0x81", :);
  load_idt(sizeof idt - 1);
  idt[kUD].type = 0x0E;
  EXPECT_FAULT("delivery/exception-gate-not-present", kNP, kUD * 8 + 3, "ud2", :); /* EXT is set */
  idt[kUD] = ud;
  idt[kGP].type = 0x0E;
  CATCH(asm volatile("movq (%0), %%rax" : : "r"(kNonCanonical) : "rax"));
  check_caught("df/gp-then-np", kDF, 0);
  idt[kGP] = gp;
  load_idt(12 * 16 - 1); /* up to #NP: neither #PF nor #GP can be delivered */
  CATCH(asm volatile("movq (%0), %%rax" : : "r"(kUnmapped) : "rax"));
  load_idt(sizeof idt - 1);
  check_caught("df/pf-then-gp", kDF, 0);
  struct Gate pf = idt[kPF];
  idt[kPF].type = 0x0E;
  CATCH(asm volatile("movq (%0), %%rax" : : "r"(kUnmapped) : "rax"));
  check_caught("df/pf-then-np", kDF, 0);
  idt[kPF] = pf;
  /* A stack that is not mapped: the push of the frame faults; #PF while delivering #UD is no double fault. */
  idt[kPF].ist = 2;
  CATCH(asm volatile("movq %0, %%rsp\n\tud2" : : "r"(kUnmapped + 0x800)));
  check_caught("delivery/ud-then-pf-on-the-stack", kPF, 2);
  check_eq("delivery/stack-fault-cr2", caught.cr2 >> 12, kUnmapped >> 12);
  /* #PF while delivering #PF is one. */
  idt[kPF].ist = 0;
  CATCH(asm volatile("movq %0, %%rsp\n\tpushq %%rax" : : "r"(kUnmapped + 0x800)));
  check_caught("df/pf-then-pf", kDF, 0);
  /* From ring 3 to a stack pointer that is not canonical. */
  u64 rsp0 = tss.rsp[0];
  tss.rsp[0] = kNonCanonical;
  idt[kSS].ist = 2;
  run_user(user_nothing);
  check_caught("delivery/rsp0-non-canonical", kSS, 0);
  tss.rsp[0] = rsp0;
  idt[kSS].ist = 0;
}

void program(void) {
  divide();
  software();
  invalid_opcode();
  not_available();
  segments();
  canonical();
  general();
  control_registers();
  page_fault();
  ring3();
  floating_point();
  delivery();
}
