/* Instructions that only 16- and 32-bit code has, and the exceptions that only they raise (SDM volume 2;
 * volume 3, chapter 6): BCD arithmetic, BOUND, INTO, ARPL, LES, PUSHA, ENTER, SALC, 16-bit addressing. */
#include "runtime.h"

const char program_name[] = "insn32";

static u32 a, c, d;
#define FLAGS(insn, in)                                                  \
  ({                                                                     \
    u32 f_ = (in) | 2;                                                   \
    asm volatile("pushl %0\n\tpopfl\n\t" insn "\n\tpushfl\n\tpopl %0"    \
                 : "+S"(f_), "+a"(a), "+c"(c), "+d"(d)::"memory", "cc"); \
    f_;                                                                  \
  })
#define ALU(name, insn, in, eax, want, mask, flags)         \
  a = eax;                                                  \
  check_eq(name "/flags", FLAGS(insn, in) & (mask), flags); \
  check_eq(name, a, want)

static void decimal(void) {
  ALU("daa/carry", "daa", 0, 0x9A, 0x00, kCf | kAf | kZf, kCf | kAf | kZf);
  ALU("daa/adjust", "daa", 0, 0x1B, 0x21, kCf | kAf, kAf);
  ALU("daa/none", "daa", 0, 0x45, 0x45, kCf | kAf, 0);
  ALU("daa/with-carry", "daa", kCf, 0x05, 0x65, kCf | kAf, kCf);
  ALU("das/borrow", "das", kAf | kCf, 0x0F, 0xA9, kCf | kAf, kCf | kAf);
  ALU("das/adjust", "das", 0, 0x2E, 0x28, kCf | kAf, kAf);
  ALU("aaa/adjust", "aaa", 0, 0x010B, 0x0201, kCf | kAf, kCf | kAf);
  ALU("aaa/none", "aaa", 0, 0x0105, 0x0105, kCf | kAf, 0);
  ALU("aas/adjust", "aas", 0, 0x020B, 0x0105, kCf | kAf, kCf | kAf);
  ALU("aam", "aam", 0, 0x3F, 0x0603, kZf | kSf, 0);
  ALU("aam/base-16", ".byte 0xd4, 16", 0, 0x5A, 0x050A, kZf | kSf, 0);
  ALU("aad", "aad", 0, 0x0603, 0x3F, kZf | kSf, 0);
  ALU("salc/set", ".byte 0xd6", kCf, 0x1234, 0x12FF, kCf, kCf);
  ALU("salc/clear", ".byte 0xd6", 0, 0x1234, 0x1200, kCf, 0);
  EXPECT_FAULT("aam/base-0", kDE, 0, ".byte 0xd4, 0", : : "eax", "cc");
}

static void bounds(void) {
  static const int kRange[2] = {-5, 10};
  static const short kShort[2] = {2, 3};
  EXPECT_OK("bound/inside", "boundl %1, %0", : "m"(kRange), "r"(10));
  EXPECT_FAULT("bound/above", kBR, 0, "boundl %1, %0", : "m"(kRange), "r"(11));
  EXPECT_FAULT("bound/below", kBR, 0, "boundl %1, %0", : "m"(kRange), "r"(-6));
  EXPECT_FAULT("bound/16-bit", kBR, 0, "boundw %w1, %0", : "m"(kShort), "r"(4));
  EXPECT_FAULT("bound/register", kUD, 0, ".byte 0x62, 0xc0", :);
  asm volatile("movb $0x7f, %%al\n\taddb $0, %%al\n\tinto" ::: "eax", "cc");
  check("into/no-overflow", true);
  CATCH(asm volatile("movb $0x7f, %%al\n\taddb $1, %%al\n\t" MARK_AFTER("into")::: "eax", "cc"));
  /* MARK_AFTER stores a constant with mov, which keeps the flags. */
  check_caught("into/overflow", kOF, 0);
}

static void arpl(void) {
  a = 0x10;
  c = 0x13;
  check_eq("arpl/raises", FLAGS("arpl %%cx, %%ax", 0) & kZf, kZf);
  check_eq("arpl/value", a, 0x13);
  check_eq("arpl/keeps", FLAGS("arpl %%cx, %%ax", kZf) & kZf, 0);
}

static void pointers(void) {
  static struct __attribute__((packed)) {
    u32 offset;
    u16 selector;
  } far = {0x12345678, kDs};
  u32 offset;
  u16 es;
  gdt[kFreeSel / 8] = descriptor(0, 0xFFFFF, 0x93, 0xC);
  far.selector = kFreeSel;
  asm volatile("pushl %%es\n\tles %2, %0\n\tmovw %%es, %1\n\tpopl %%es" : "=r"(offset), "=r"(es) : "m"(far));
  check("les", offset == 0x12345678 && es == kFreeSel);
  asm volatile("pushl %%ds\n\tlds %2, %0\n\tmovw %%ds, %1\n\tpopl %%ds" : "=r"(offset), "=r"(es) : "m"(far));
  check("lds", offset == 0x12345678 && es == kFreeSel);
  EXPECT_FAULT("les/register", kUD, 0, ".byte 0xc4, 0xc0, 0, 0", :);
  far.selector = 0x1F0;
  EXPECT_FAULT("les/bad-selector", kGP, 0x1F0, "les %0, %%eax", : "m"(far) : "eax");
}

u32 got_words[9]; /* global: named in the assembler below */

static void stack(void) {
  asm volatile(
      "pushal\n\tmovl $1, %%eax\n\tmovl $2, %%ecx\n\tmovl $3, %%edx\n\tmovl $4, %%ebx\n\tmovl $5, "
      "%%ebp\n\tmovl $6, %%esi\n\t"
      "movl $7, %%edi\n\tpushal\n\tpopl got_words\n\tpopl got_words+4\n\tpopl got_words+8\n\tpopl "
      "got_words+12\n\t"
      "popl got_words+16\n\tpopl got_words+20\n\tpopl got_words+24\n\tpopl got_words+28\n\tmovl %%esp, "
      "got_words+32\n\tpopal" ::
          : "memory");
  check("pusha/order", got_words[0] == 7 && got_words[1] == 6 && got_words[2] == 5 && got_words[4] == 4 &&
                           got_words[5] == 3 && got_words[6] == 2 && got_words[7] == 1);
  check_eq("pusha/esp-before", got_words[3], got_words[8]);
  u32 bp, sp, inner;
  asm volatile(
      "movl %%ebp, %%ecx\n\tmovl %%esp, %%edx\n\tenter $32, $0\n\tmovl %%ebp, %0\n\tmovl %%esp, "
      "%1\n\tleave\n\tsubl %%esp, %%edx\n\t"
      "movl %%edx, %2"
      : "=&a"(bp), "=&S"(sp), "=&D"(inner)::"ecx", "edx", "memory");
  check("enter-leave/level-0", bp - sp == 32 && inner == 0);
  asm volatile("pushl %%ebp\n\tmovl %%esp, %%edx\n\tenter $8, $3\n\tsubl %%esp, %%edx\n\tleave\n\tpopl %%ebp"
               : "=d"(inner)::"memory");
  check_eq("enter/level-3-size", inner, 4 + 12 + 8);
  asm volatile("movl %%esp, %%edx\n\tpushw $0x1234\n\tsubl %%esp, %%edx\n\tpopw %%ax"
               : "=d"(inner)::"eax", "memory");
  check_eq("pushw/two-bytes", inner, 2);
  asm volatile("pushl $-1\n\tpushl %%fs\n\tpopl %0\n\taddl $4, %%esp" : "=r"(inner)::"memory");
  check_eq("push-fs/selector", inner & 0xFFFF, kDs);
}

static void addressing16(void) {
  /* Offsets wrap at 64 KiB; the segment base brings them to the table. */
  static u8 table[0x200];
  for (u32 i = 0; i < sizeof table; ++i) table[i] = (u8)(i * 3);
  gdt[kFreeSel / 8] = descriptor((u32)table, 0xFFFFF, 0x93, 0xC);
  asm volatile("movw %w0, %%fs" ::"r"(kFreeSel));
  u32 v;
#define AT(name, encoding, bx, si, want)                                                                     \
  asm volatile(".byte 0x64, 0x67, 0x8a, " encoding : "=a"(v) : "0"(0), "b"(bx), "S"(si), "D"(4) : "memory"); \
  check_eq("addr16/" name, v & 0xFF, (u8)((want)*3))
  AT("bx-si", "0x00", 0x10, 0x20, 0x30);
  AT("bx-di", "0x01", 0x10, 0x20, 0x14);
  AT("si", "0x04", 0x10, 0x20, 0x20);
  AT("di", "0x05", 0x10, 0x20, 4);
  AT("disp16", "0x06, 0x34, 0x01", 0, 0, 0x134);
  AT("bx", "0x07", 0x77, 0, 0x77);
  AT("bx-disp8", "0x47, 0xf0", 0x77, 0, 0x67);
  AT("bx-si-wraps", "0x00", 0xFFF0, 0x20, 0x10);
  AT("high-halves-ignored", "0x00", 0xABCD0010, 0x12340020, 0x30);
  AT("bx-disp16", "0x87, 0x00, 0x01", 0x33, 0, 0x133);
  asm volatile("movl $0xFFFFFFFF, %%eax\n\taddr16 leal 0x10(%%bx,%%si), %%eax"
               : "=a"(v)
               : "b"(0xFFFF), "S"(0x1));
  check_eq("addr16/lea-zero-extends", v, 0x10);
  asm volatile("xlatb %%fs:(%%ebx)" : "=a"(v) : "0"(0x105), "b"(0x10));
  check_eq("xlat", v, 0x100 | (u8)(0x15 * 3));
  asm volatile("movw %w0, %%fs" ::"r"(kDs));
  asm volatile("movl $0x10003, %%ecx\n\txorl %%eax, %%eax\n1: incl %%eax\n\t.byte 0x67\n\tloop 1b"
               : "=a"(v)::"ecx", "cc");
  check_eq("addr16/loop-counts-cx", v, 3);
  asm volatile("movl $0x10000, %%ecx\n\tmovl $1, %%eax\n\tjcxz 1f\n\tmovl $2, %%eax\n1:" : "=a"(v)::"ecx");
  check_eq("addr16/jcxz", v, 1);
}

static void no_64(void) {
  a = 5;
  FLAGS(".byte 0x40\n\t.byte 0x48\n\t.byte 0x40", 0);
  check_eq("inc-dec/one-byte-forms", a, 6);
  EXPECT_FAULT("ud/swapgs", kUD, 0, ".byte 0x0f, 0x01, 0xf8", :);
  EXPECT_FAULT("ud/ud2", kUD, 0, "ud2", :);
  EXPECT_TRAP("bp/int3", kBP, 0, "int3", :);
  EXPECT_FAULT("np/fs", kNP, kFreeSel + 8, "movw %w0, %%fs",
               : "r"((gdt[kFreeSel / 8 + 1] = descriptor(0, 0xFFFFF, 0x13, 0xC), kFreeSel + 8)));
}

void program(void) {
  decimal();
  bounds();
  arpl();
  pointers();
  stack();
  addressing16();
  no_64();
}
