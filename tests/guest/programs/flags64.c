/* Flags: what each kind of instruction does to them, and that they live across memory accesses, branches and
 * calls (SDM volume 1, 3.4.3 and appendix A). Undefined flags are not compared. */
#include "paging.h"

const char program_name[] = "flags64";

static const u64 kStatus = kCf | kPf | kAf | kZf | kSf | kOf;
/* Named for the assembler, too: the operand strings below use it as an absolute address. */
u64 memory_alias[8] __attribute__((aligned(64)));
#define memory memory_alias

/* Runs `insn` on a, c, d with the given status flags; yields the flags after it. */
#define FLAGS(insn, in, a, c, d)                                         \
  ({                                                                     \
    u64 f_ = (in) | 2;                                                   \
    asm volatile("pushq %0\n\tpopfq\n\t" insn "\n\tpushfq\n\tpopq %0"    \
                 : "+r"(f_), "+a"(a), "+c"(c), "+d"(d)::"memory", "cc"); \
    f_& kStatus;                                                         \
  })
static u64 a, c, d;
#define SET(x, y, z) (a = (u64)(x), c = (u64)(y), d = (u64)(z))

static void arithmetic(void) {
  SET(0xFF, 1, 0);
  check_eq("add8/carry", FLAGS("addb %%cl, %%al", 0, a, c, d), kCf | kPf | kAf | kZf);
  check_eq("add8/result", a, 0);
  SET(0x7F, 1, 0);
  check_eq("add8/overflow", FLAGS("addb %%cl, %%al", 0, a, c, d), kSf | kOf | kAf);
  SET(0x8000, 0x8000, 0);
  check_eq("add16/carry-and-overflow", FLAGS("addw %%cx, %%ax", 0, a, c, d), kCf | kOf | kZf | kPf);
  SET(0x7FFFFFFF, 1, 0);
  check_eq("add32/overflow", FLAGS("addl %%ecx, %%eax", 0, a, c, d), kSf | kOf | kAf | kPf);
  SET(~0ull, 0, 0);
  check_eq("adc64/carry-in", FLAGS("adcq %%rcx, %%rax", kCf, a, c, d), kCf | kZf | kPf | kAf);
  SET(0, ~0ull, 0);
  check_eq("sbb64/carry-in", FLAGS("sbbq %%rcx, %%rax", kCf, a, c, d), kCf | kZf | kPf | kAf);
  SET(5, 7, 0);
  check_eq("cmp/below", FLAGS("cmpq %%rcx, %%rax", 0, a, c, d), kCf | kSf | kAf);
  check_eq("cmp/keeps-rax", a, 5);
  SET(0x8000000000000000ull, 1, 0);
  check_eq("sub64/overflow", FLAGS("subq %%rcx, %%rax", 0, a, c, d), kOf | kAf | kPf);
  SET(0, 0, 0);
  check_eq("neg/zero", FLAGS("negq %%rax", kStatus, a, c, d), kZf | kPf);
  SET(0x80, 0, 0);
  check_eq("neg8/minimum", FLAGS("negb %%al", 0, a, c, d), kCf | kSf | kOf);
  SET(0xFFFFFFFF, 0, 0);
  check_eq("inc/keeps-carry", FLAGS("incl %%eax", kCf, a, c, d), kCf | kZf | kPf | kAf);
  SET(0, 0, 0);
  check_eq("dec/keeps-no-carry", FLAGS("decl %%eax", 0, a, c, d), kSf | kPf | kAf);
  SET(0, 0, 0);
  check_eq("not/keeps-all", FLAGS("notq %%rax", kStatus, a, c, d), kStatus);
  SET(0xF0, 0x0F, 0);
  check_eq("and/clears", FLAGS("andb %%cl, %%al", kCf | kOf, a, c, d) & ~(u64)kAf, kZf | kPf);
  SET(0xF0, 0x0F, 0);
  check_eq("xor8", FLAGS("xorb %%cl, %%al", kCf | kOf, a, c, d) & ~(u64)kAf, kSf | kPf);
  SET(1ull << 32, 1ull << 32, 0);
  check_eq("mul/high-half", FLAGS("mulq %%rcx", 0, a, c, d) & (kCf | kOf), kCf | kOf);
  check_eq("mul/rdx", d, 1);
  SET(-2, 3, 0);
  check_eq("imul/fits", FLAGS("imulq %%rcx", kCf | kOf, a, c, d) & (kCf | kOf), 0);
  check_eq("imul/rdx", d, ~0ull);
  SET(0x40000000, 2, 0);
  check_eq("imul32/overflows", FLAGS("imull %%ecx, %%eax", 0, a, c, d) & (kCf | kOf), kCf | kOf);
}

static void chains(void) {
  static u64 x[16], y[16], z[16];
  for (u32 i = 0; i < 16; ++i) {
    x[i] = ~0ull;
    y[i] = 0;
  }
  y[0] = 1;
  u8 carry;
  /* The carry crosses loads, stores, lea, inc-free counting and a conditional branch. */
  asm volatile(
      "xorl %%ecx, %%ecx\n\tclc\n"
      "1: movq (%1,%%rcx,8), %%rax\n\tadcq (%2,%%rcx,8), %%rax\n\tmovq %%rax, (%3,%%rcx,8)\n\t"
      "leaq 1(%%rcx), %%rcx\n\tleaq -16(%%rcx), %%rdx\n\txchgq %%rdx, %%rcx\n\tjrcxz 2f\n\txchgq %%rdx, "
      "%%rcx\n\tjmp 1b\n"
      "2: setc %0"
      : "=&q"(carry)
      : "r"(x), "r"(y), "r"(z)
      : "rax", "rcx", "rdx", "memory", "cc");
  bool zero = true;
  for (u32 i = 0; i < 16; ++i) zero = zero && z[i] == 0;
  check("chain/adc-1024-bits", zero && carry == 1);
  u64 *p = z, *q = y, *o = x;
  asm volatile(
      "movl $16, %%ecx\n\tclc\n"
      "1: movq (%1), %%rax\n\tsbbq (%2), %%rax\n\tmovq %%rax, (%3)\n\tleaq 8(%1), %1\n\tleaq 8(%2), %2\n\t"
      "leaq 8(%3), %3\n\tdecl %%ecx\n\tjnz 1b\n\tsetc %0"
      : "=&q"(carry), "+&r"(p), "+&r"(q), "+&r"(o)
      :
      : "rax", "rcx", "memory", "cc");
  bool ones = x[0] == ~0ull;
  for (u32 i = 1; i < 16; ++i) ones = ones && x[i] == ~0ull;
  check("chain/sbb-with-dec-between", ones && carry == 1);
  u64 result;
  asm volatile(
      "movl $1, %%eax\n\tcmpl $2, %%eax\n\tcall 1f\n\tjmp 3f\n1: movq %1, %%rcx\n\tmovq %%rcx, %1\n\tret\n"
      "3: sbbq %0, %0"
      : "=r"(result), "+m"(memory[0])
      :
      : "rax", "rcx", "cc");
  check_eq("chain/across-call-and-ret", result, ~0ull);
}

static void shifts(void) {
  static const char* const kNames[] = {"shl", "shr", "sar", "rol", "ror", "rcl", "rcr"};
#define ZERO(i, insn)                                                                                 \
  SET(0x1234, 0, 0);                                                                                  \
  check_eq(kNames[i], FLAGS(insn " %%cl, %%rax", kStatus, a, c, d), kStatus);                         \
  SET(0xFFFFFFFF80000001ull, 32, 0);                                                                  \
  check_eq(kNames[i], FLAGS(insn " %%cl, %%eax", kStatus & ~(u64)kZf, a, c, d), kStatus & ~(u64)kZf); \
  check_eq(kNames[i], a, 0x80000001)
  ZERO(0, "shl");
  ZERO(1, "shr");
  ZERO(2, "sar");
  ZERO(3, "rol");
  ZERO(4, "ror");
  ZERO(5, "rcl");
  ZERO(6, "rcr");
  SET(0x80, 1, 0);
  check_eq("shl8/by-one", FLAGS("shlb %%cl, %%al", 0, a, c, d) & ~(u64)kAf, kCf | kOf | kZf | kPf);
  SET(1, 1, 0);
  check_eq("shr/by-one", FLAGS("shrq %%cl, %%rax", 0, a, c, d) & ~(u64)kAf, kCf | kZf | kPf);
  SET(1ull << 63, 63, 0);
  check_eq("sar/63", FLAGS("sarq %%cl, %%rax", 0, a, c, d) & ~(u64)(kAf | kOf), kSf | kPf);
  check_eq("sar/63-value", a, ~0ull);
  SET(0x8000000000000000ull, 0, 0);
  check_eq("rol/one", FLAGS("rolq $1, %%rax", kZf | kSf | kPf, a, c, d), kCf | kOf | kZf | kSf | kPf);
  SET(0, 0, 0);
  check_eq("rcl/one", FLAGS("rclq $1, %%rax", kCf | kZf, a, c, d), kZf);
  check_eq("rcl/value", a, 1);
  SET(0, 9, 0);
  FLAGS("rclb %%cl, %%al", kCf, a, c, d);
  check_eq("rcl8/nine-is-the-identity", a, 0);
  SET(0x81, 17, 0);
  FLAGS("rcrw %%cl, %%ax", kCf, a, c, d);
  check_eq("rcr16/seventeen-is-the-identity", a, 0x81);
  SET(0x1111111122222222ull, 8, 0xAABBCCDDEEFF0011ull);
  check_eq("shld/carry", FLAGS("shldq %%cl, %%rdx, %%rax", 0, a, c, d) & kCf, kCf);
  check_eq("shld/value", a, 0x11111122222222AAull);
  SET(0x1111111122222222ull, 64, 0);
  check_eq("shrd/by-64-keeps-flags", FLAGS("shrdq %%cl, %%rdx, %%rax", kStatus, a, c, d), kStatus);
}

static void flag_moves(void) {
  SET(0, 0, 0);
  FLAGS("lahf", kCf | kZf | kSf, a, c, d);
  check_eq("lahf", a, (kCf | kZf | kSf | 2) << 8);
  SET((kPf | kAf) << 8, 0, 0);
  check_eq("sahf/keeps-overflow", FLAGS("sahf", kOf | kCf, a, c, d), kOf | kPf | kAf);
  SET(0, 0, 0);
  check_eq("cmc", FLAGS("cmc", kCf | kZf, a, c, d), kZf);
  check_eq("stc", FLAGS("stc", kZf, a, c, d), kZf | kCf);
  write_flags(read_flags() | kId);
  check("pushf/id-set", read_flags() & kId);
  write_flags(read_flags() & ~(Word)kId);
  check("pushf/id-clear", !(read_flags() & kId));
  write_flags(0xFFFFFFFFu & ~(u32)(kTf | kIf | kNt | kAcFlag | kVm));
  check_eq("popf/reserved-bits", read_flags() & 0xFFC0802A, 2);
  check_eq("popf/iopl", read_flags() & kIopl3, kIopl3);
  write_flags(2 | kNt);
  check("popf/nt", read_flags() & kNt);
  write_flags(2);
  u64 v;
  asm volatile("pushq $0x8d5\n\tpopfq\n\tpushfw\n\tmovzwq (%%rsp), %0\n\taddq $2, %%rsp" : "=r"(v)::"cc");
  check_eq("pushfw", v, 0x8D7);
  asm volatile("movl $-1, %%eax\n\tpushw $0x0c1\n\tstc\n\tpopfw\n\tlahf\n\tmovzbl %%ah, %k0"
               : "=r"(v)::"rax", "cc");
  check_eq("popfw", v, 0xC3);
}

static u64 condition_bits(u64 flags) {
  u64 bits = 0, x;
#define CONDITION(n, cc)                                                                                 \
  asm volatile("pushq %1\n\tpopfq\n\tmovl $0, %k0\n\tset" cc " %b0" : "=&q"(x) : "r"(flags | 2) : "cc"); \
  bits |= x << n;                                                                                        \
  asm volatile("pushq %1\n\tpopfq\n\tmovl $1, %%eax\n\tmovl $0, %k0\n\tcmov" cc " %%eax, %k0"            \
               : "=&r"(x)                                                                                \
               : "r"(flags | 2)                                                                          \
               : "rax", "cc");                                                                           \
  bits |= x << (16 + n);                                                                                 \
  asm volatile("pushq %1\n\tpopfq\n\tmovl $1, %k0\n\tj" cc " 1f\n\tmovl $0, %k0\n1:"                     \
               : "=&r"(x)                                                                                \
               : "r"(flags | 2)                                                                          \
               : "cc");                                                                                  \
  bits |= x << (32 + n)
  CONDITION(0, "o");
  CONDITION(1, "no");
  CONDITION(2, "b");
  CONDITION(3, "ae");
  CONDITION(4, "e");
  CONDITION(5, "ne");
  CONDITION(6, "be");
  CONDITION(7, "a");
  CONDITION(8, "s");
  CONDITION(9, "ns");
  CONDITION(10, "p");
  CONDITION(11, "np");
  CONDITION(12, "l");
  CONDITION(13, "ge");
  CONDITION(14, "le");
  CONDITION(15, "g");
  return bits;
}

static void conditions(void) {
  u32 wrong = 0;
  for (u32 i = 0; i < 32; ++i) {
    u64 of = i & 1, cf = i >> 1 & 1, zf = i >> 2 & 1, sf = i >> 3 & 1, pf = i >> 4 & 1;
    u64 flags = (of ? kOf : 0) | (cf ? kCf : 0) | (zf ? kZf : 0) | (sf ? kSf : 0) | (pf ? kPf : 0);
    u64 even = of | cf << 2 | zf << 4 | (cf | zf) << 6 | sf << 8 | pf << 10 | (sf ^ of) << 12 |
               (zf | (sf ^ of)) << 14;
    u64 one = even | (~even & 0x5555) << 1;
    if (condition_bits(flags) != (one | one << 16 | one << 32)) ++wrong;
  }
  check_eq("conditions/set-cmov-jump-for-all-flags", wrong, 0);
  u64 v = ~0ull;
  asm volatile("cmpl %%eax, %%eax\n\tcmovnel %%eax, %k0" : "+r"(v)::"cc");
  check_eq("conditions/cmov32-not-taken-clears-the-high-half", v, 0xFFFFFFFF);
  CATCH(asm volatile("cmpl %%eax, %%eax\n\t" MARK "cmovneq (%0), %%rax" ::"r"(0x0000070000000000ull)
                     : "rax", "cc"));
  check_caught("conditions/cmov-not-taken-still-loads", kPF, 0);
}

static void bits(void) {
  memset(memory, 0, sizeof memory);
  u64* middle = &memory[4];
  asm volatile("btsq %1, %0" : "+m"(*middle) : "r"(-1ll) : "memory", "cc");
  check_eq("bts/negative-offset", memory[3], 1ull << 63);
  asm volatile("btsq %1, %0" : "+m"(*middle) : "r"(-130ll) : "memory", "cc");
  check_eq("bts/far-negative-offset", memory[1], 1ull << 62);
  asm volatile("btsl %k1, %0" : "+m"(*(u32*)middle) : "r"(100) : "memory", "cc");
  check_eq("bts/positive-offset", memory[5], 1ull << 36);
  asm volatile("btsw %w1, %0" : "+m"(*(u16*)middle) : "r"(-16) : "memory", "cc");
  check_eq("bts16/negative-offset", memory[3], 1ull << 63 | 1ull << 48);
  u8 carry;
  asm volatile("btcq %2, %0\n\tsetc %1" : "+m"(*middle), "=q"(carry) : "r"(-1ll) : "memory", "cc");
  check("btc/reports-and-flips", carry == 1 && memory[3] == 1ull << 48);
  asm volatile("lock btrq %2, %0\n\tsetc %1" : "+m"(*middle), "=q"(carry) : "r"(-16ll) : "memory", "cc");
  check("btr/locked", carry == 1 && memory[3] == 0);
  asm volatile("btsq $70, %0" : "+m"(*middle)::"memory", "cc");
  check("bts/immediate-is-masked", memory[4] == 1ull << 6 && memory[5] == 1ull << 36);
  SET(1, 65, 0);
  check_eq("bt/register-offset-is-masked", FLAGS("btq %%rcx, %%rax", kCf, a, c, d) & kCf, 0);
  SET(0, 0, 77);
  check_eq("bsf/zero-sets-zf", FLAGS("bsfq %%rcx, %%rax", 0, a, c, d) & kZf, kZf);
  SET(0, 0x8000100000000000ull, 0);
  FLAGS("bsfq %%rcx, %%rax\n\tbsrq %%rcx, %%rdx", 0, a, c, d);
  check("bsf-bsr/positions", a == 44 && d == 63);
}

static void exchange(void) {
  memory[0] = 5;
  SET(5, 9, 0);
  check_eq("cmpxchg/equal", FLAGS("cmpxchgq %%rcx, memory_alias", 0, a, c, d) & kZf, kZf);
  check_eq("cmpxchg/stored", memory[0], 9);
  SET(5, 1, 0);
  check_eq("cmpxchg/different", FLAGS("lock cmpxchgq %%rcx, memory_alias", kZf, a, c, d) & kZf, 0);
  check("cmpxchg/loads", a == 9 && memory[0] == 9);
  SET(0xFFFFFFFF00000009ull, 1, 0);
  FLAGS("cmpxchgl %%ecx, memory_alias", 0, a, c, d);
  check("cmpxchg32/equal", memory[0] == 1);
  memory[0] = 0x0000000200000001ull;
  u64 b = 0xAAAA;
  SET(1, 0xBBBB, 2);
  u8 zero;
  asm volatile("lock cmpxchg8b memory_alias\n\tsetz %0"
               : "=q"(zero), "+a"(a), "+d"(d)
               : "b"(b), "c"(c)
               : "memory", "cc");
  check("cmpxchg8b/equal", zero && memory[0] == 0x0000BBBB0000AAAAull);
  asm volatile("cmpxchg8b memory_alias\n\tsetz %0"
               : "=q"(zero), "+a"(a), "+d"(d)
               : "b"(b), "c"(c)
               : "memory", "cc");
  check("cmpxchg8b/different", !zero && a == 0xAAAA && d == 0xBBBB);
  memory[0] = 11;
  memory[1] = 22;
  SET(11, 44, 22);
  b = 33;
  if (cpuid_bit(1, 0, 'c', 13)) {
    asm volatile("lock cmpxchg16b memory_alias\n\tsetz %0"
                 : "=q"(zero), "+a"(a), "+d"(d)
                 : "b"(b), "c"(c)
                 : "memory", "cc");
    check("cmpxchg16b/equal", zero && memory[0] == 33 && memory[1] == 44);
    asm volatile("lock cmpxchg16b memory_alias\n\tsetz %0"
                 : "=q"(zero), "+a"(a), "+d"(d)
                 : "b"(b), "c"(c)
                 : "memory", "cc");
    check("cmpxchg16b/different", !zero && a == 33 && d == 44);
    EXPECT_FAULT("cmpxchg16b/unaligned", kGP, 0, "cmpxchg16b memory_alias + 8", : : "memory", "cc");
  } else {
    skip("cmpxchg16b", "not in CPUID");
  }
  memory[0] = 100;
  SET(7, 0, 0);
  check_eq("xadd/flags", FLAGS("lock xaddq %%rax, memory_alias", 0, a, c, d) & (kCf | kZf | kSf | kOf), 0);
  check("xadd/values", a == 100 && memory[0] == 107);
  SET(3, 0, 0);
  FLAGS("xaddq %%rax, %%rax", 0, a, c, d);
  check_eq("xadd/same-register", a, 6);
  static const u64 kOps = 50;
  memory[0] = 0;
  for (u64 i = 0; i < kOps; ++i) {
    asm volatile("lock incq %0\n\tlock addq $2, %0\n\tlock subq $1, %0\n\tlock xorq $0, %0"
                 : "+m"(memory[0])::"cc");
  }
  check_eq("lock/sum", memory[0], 2 * kOps);
  SET(0x55, 0, 0);
  memory[0] = 0x66;
  check_eq("xchg/keeps-flags", FLAGS("xchgq %%rax, memory_alias", kStatus, a, c, d), kStatus);
  check("xchg/values", a == 0x66 && memory[0] == 0x55);
}

static void high_bytes(void) {
  memory[0] = 0x8877665544332211ull;
  SET(0xAABB, 0xCCDD, 0xEEFF);
  FLAGS("movb memory_alias + 2, %%ah\n\tmovb %%ch, memory_alias\n\taddb memory_alias + 1, %%dh", 0, a, c, d);
  check_eq("high/load", a, 0x33BB);
  check_eq("high/store", memory[0], 0x88776655443322CCull);
  check_eq("high/add-from-memory", d, 0x10FF);
  SET(0x1234, 0x5678, 0);
  FLAGS("xchgb %%ah, %%cl\n\tmovzbl %%ah, %%edx", 0, a, c, d);
  check("high/exchange", a == 0x7834 && c == 0x5612 && d == 0x78);
  SET(0xFF00, 0, 0);
  check_eq("high/increment", FLAGS("incb %%ah", 0, a, c, d), kZf | kPf | kAf);
  check_eq("high/low-byte-kept", a, 0);
  memory[0] = 0x0F;
  SET(0xF000, 0, 0);
  check_eq("high/or-to-memory", FLAGS("orb %%ah, memory_alias", 0, a, c, d) & ~(u64)kAf, kSf | kPf);
  check_eq("high/or-result", memory[0], 0xFF);
  SET(0x8000, 0, 0);
  check_eq("high/test", FLAGS("testb $0x80, %%ah", 0, a, c, d) & ~(u64)kAf, kSf);
  SET(~0ull, 0x1234, 0);
  FLAGS("movw %%cx, %%ax", 0, a, c, d);
  check_eq("width/16-keeps-the-rest", a, 0xFFFFFFFFFFFF1234ull);
  SET(~0ull, 0x1234, 0);
  FLAGS("movl %%ecx, %%eax", 0, a, c, d);
  check_eq("width/32-clears-the-rest", a, 0x1234);
}

/* Flags must survive an access that faults and is restarted. */
static u64 fault_va = 0x0000072000000000ull;
static bool bring_in(struct Frame* f) {
  (void)f;
  if (read_cr2() >> 12 != fault_va >> 12) return false;
  map(boot_pml4, fault_va, (u64)new_page(), 1, kW);
  return true;
}

static void across_faults(void) {
  set_handler(kPF, bring_in);
  SET(0, 0, fault_va);
  check_eq("fault/mov-keeps-flags", FLAGS("movq %%rax, (%%rdx)", kStatus, a, c, d), kStatus);
  fault_va += 4096;
  SET(5, 0, fault_va);
  check_eq("fault/adc-restarts-with-its-carry", FLAGS("adcq %%rax, (%%rdx)", kCf, a, c, d), kPf);
  check_eq("fault/adc-value", *(u64*)fault_va, 6);
  fault_va += 4096;
  SET(5, 0, fault_va);
  check_eq("fault/lock-xadd", FLAGS("lock xaddq %%rax, (%%rdx)\n\tadcq $0, %%rcx", kCf, a, c, d) & kZf, kZf);
  set_handler(kPF, 0);
}

void program(void) {
  arithmetic();
  chains();
  shifts();
  flag_moves();
  conditions();
  bits();
  exchange();
  high_bytes();
  across_faults();
}
