/* Privileged instructions and ports as C functions, and the architectural constants that the programs use.
 * Names and numbers: SDM volume 3, chapters 2 and 6; APM volume 2. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef uintptr_t Word;
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum { kDE, kDB, kNMI, kBP, kOF, kBR, kUD, kNM, kDF, kTS = 10, kNP, kSS, kGP, kPF, kMF = 16, kAC, kMC, kXM };

enum {
  kCf = 1,
  kPf = 4,
  kAf = 0x10,
  kZf = 0x40,
  kSf = 0x80,
  kTf = 0x100,
  kIf = 0x200,
  kDf = 0x400,
  kOf = 0x800
};
enum {
  kIopl3 = 0x3000,
  kNt = 0x4000,
  kRf = 0x10000,
  kVm = 0x20000,
  kAcFlag = 0x40000,
  kVif = 0x80000,
  kVip = 0x100000,
  kId = 0x200000
};

enum { kCr0Pe = 1, kCr0Mp = 2, kCr0Em = 4, kCr0Ts = 8, kCr0Ne = 0x20, kCr0Wp = 0x10000, kCr0Am = 0x40000 };
#define kCr0Pg 0x80000000u
enum {
  kCr4Vme = 1,
  kCr4Pvi = 2,
  kCr4Tsd = 4,
  kCr4De = 8,
  kCr4Pse = 0x10,
  kCr4Pae = 0x20,
  kCr4Pge = 0x80,
  kCr4Osfxsr = 0x200,
  kCr4Osxmmexcpt = 0x400,
  kCr4Umip = 0x800,
  kCr4Fsgsbase = 0x10000,
  kCr4Pcide = 0x20000,
  kCr4Osxsave = 0x40000,
  kCr4Smep = 0x100000,
  kCr4Smap = 0x200000
};

#define kMsrTsc 0x10
#define kMsrApicBase 0x1B
#define kMsrSysenterCs 0x174
#define kMsrSysenterEsp 0x175
#define kMsrSysenterEip 0x176
#define kMsrPat 0x277
#define kMsrEfer 0xC0000080u
#define kMsrStar 0xC0000081u
#define kMsrLstar 0xC0000082u
#define kMsrCstar 0xC0000083u
#define kMsrFmask 0xC0000084u
#define kMsrFsBase 0xC0000100u
#define kMsrGsBase 0xC0000101u
#define kMsrKernelGsBase 0xC0000102u
#define kMsrTscAux 0xC0000103u

/* Selectors of the runtime's GDT (runtime.c). SYSRET and SYSEXIT dictate the order of the user ones. */
enum {
  kCs = 0x08,
  kDs = 0x10,
  kUserCs32 = 0x18 | 3,
  kUserDs = 0x20 | 3,
  kUserCs64 = 0x28 | 3,
  kCs32 = 0x38,
  kTssSel = 0x40,
  kFreeSel = 0x50
};
#ifdef __x86_64__
enum { kUserCs = kUserCs64 };
#else
enum { kUserCs = kUserCs32 };
#endif

static inline void outb(u16 port, u8 v) { asm volatile("outb %0, %1" ::"a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) {
  u8 v;
  asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
  return v;
}
static inline void outl(u16 port, u32 v) { asm volatile("outl %0, %1" ::"a"(v), "Nd"(port)); }
static inline u32 inl(u16 port) {
  u32 v;
  asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
  return v;
}

#define CONTROL_REGISTER(n)                                 \
  static inline Word read_cr##n(void) {                     \
    Word v;                                                 \
    asm volatile("mov %%cr" #n ", %0" : "=r"(v)::"memory"); \
    return v;                                               \
  }                                                         \
  static inline void write_cr##n(Word v) { asm volatile("mov %0, %%cr" #n ::"r"(v) : "memory"); }
CONTROL_REGISTER(0)
CONTROL_REGISTER(2)
CONTROL_REGISTER(3)
CONTROL_REGISTER(4)
#ifdef __x86_64__
CONTROL_REGISTER(8)
#endif
#define DEBUG_REGISTER(n)                                   \
  static inline Word read_dr##n(void) {                     \
    Word v;                                                 \
    asm volatile("mov %%db" #n ", %0" : "=r"(v)::"memory"); \
    return v;                                               \
  }                                                         \
  static inline void write_dr##n(Word v) { asm volatile("mov %0, %%db" #n ::"r"(v) : "memory"); }
DEBUG_REGISTER(0)
DEBUG_REGISTER(1)
DEBUG_REGISTER(2)
DEBUG_REGISTER(3)
DEBUG_REGISTER(6)
DEBUG_REGISTER(7)

static inline u64 rdmsr(u32 msr) {
  u32 lo, hi;
  asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
  return lo | (u64)hi << 32;
}
static inline void wrmsr(u32 msr, u64 v) {
  asm volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline u64 rdtsc(void) {
  u32 lo, hi;
  asm volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
  return lo | (u64)hi << 32;
}

struct Cpuid {
  u32 a, b, c, d;
};
static inline struct Cpuid cpuid(u32 leaf, u32 sub) {
  struct Cpuid r;
  asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
  return r;
}
/* False for a leaf the processor does not have, too. */
static inline bool cpuid_bit(u32 leaf, u32 sub, char reg, int bit) {
  if (cpuid(leaf & 0x80000000u, 0).a < leaf) return false;
  struct Cpuid r = cpuid(leaf, sub);
  u32 v = reg == 'a' ? r.a : reg == 'b' ? r.b : reg == 'c' ? r.c : r.d;
  return (v >> bit) & 1;
}

static inline void invlpg(Word va) { asm volatile("invlpg (%0)" ::"r"(va) : "memory"); }
static inline Word read_flags(void) {
  Word v;
  asm volatile("pushf\n\tpop %0" : "=r"(v)::"memory");
  return v;
}
static inline void write_flags(Word v) { asm volatile("push %0\n\tpopf" ::"r"(v) : "memory", "cc"); }
static inline void sti(void) { asm volatile("sti" ::: "memory"); }
static inline void cli(void) { asm volatile("cli" ::: "memory"); }

struct __attribute__((packed)) TablePointer {
  u16 limit;
  Word base;
};
