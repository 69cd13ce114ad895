/* The runtime of the guest programs: reports on the first serial port, checks, and traps that a check can
 * expect. A program defines `program_name` and `program()`; `finish()` ends it through the debug-exit port.
 */
#pragma once
#include "cpu.h"

/* ---- reports ---- */
extern const char program_name[];
void program(void);

void print(const char* text);
void print_hex(u64 v);
void print_dec(u32 v);
/* One line each: "PASS program/name" or "FAIL program/name got=.. want=..". */
void check(const char* name, bool ok);
void check_eq(const char* name, u64 got, u64 want);
/* What the processor does not offer; counts neither as a check nor as a failure. */
void skip(const char* name, const char* why);
void __attribute__((noreturn)) finish(void);
/* True, with a SKIP line, under QEMU's TCG: for the few checks where it departs from the manual in a way that
 * the rest of the program would not survive. */
bool oracle_fails(const char* name);

/* ---- memory ---- */
void* memset(void* p, int c, __SIZE_TYPE__ n);
void* memcpy(void* d, const void* s, __SIZE_TYPE__ n);
int memcmp(const void* a, const void* b, __SIZE_TYPE__ n);
bool same(const void* a, const void* b, __SIZE_TYPE__ n);

/* ---- traps ---- */
struct Frame {
#ifdef __x86_64__
  Word r15, r14, r13, r12, r11, r10, r9, r8, bp, di, si, dx, cx, bx, ax;
#else
  Word gs, fs, es, ds;
  Word di, si, bp, sp_unused, bx, dx, cx, ax;
#endif
  Word vector, error, ip, cs, flags;
  Word sp, ss; /* 32-bit: only there if the privilege level changed */
#ifndef __x86_64__
  Word v86_es, v86_ds, v86_fs, v86_gs;
#endif
};

struct Caught {
  int vector; /* -1: no trap */
  Word cr2, dr6;
  struct Frame frame;
};
extern volatile struct Caught caught;
extern volatile Word probe_ip; /* where the trap is expected, or 0 */
extern volatile int catch_armed;

/* A handler sees a trap first; true means handled, the interrupted code goes on with the frame as it is now.
 */
typedef bool (*Handler)(struct Frame*);
void set_handler(int vector, Handler handler);

int catch_begin(void) __attribute__((returns_twice));
static inline void catch_end(void) { catch_armed = 0; }
/* Runs statements; the vector of the trap that ended them, or -1. Details are then in `caught`. */
#define CATCH(...)            \
  ({                          \
    if (catch_begin() == 0) { \
      __VA_ARGS__;            \
      catch_end();            \
    }                         \
    caught.vector;            \
  })

#ifdef __x86_64__
#define MARK "movq $777f, probe_ip\n777:\n\t"
#define MARK_AFTER(insn) "movq $778f, probe_ip\n\t" insn "\n778:\n\t"
#else
#define MARK "movl $777f, probe_ip\n777:\n\t"
#define MARK_AFTER(insn) "movl $778f, probe_ip\n\t" insn "\n778:\n\t"
#endif

/* Reports whether the last CATCH ended with this vector, error code and, if marked, instruction. */
void check_caught(const char* name, int vector, Word error);
/* A fault (saved ip at the instruction) or a trap (after it); further arguments: asm inputs and clobbers. */
#define EXPECT_FAULT(name, vec, err, insn, ...)   \
  do {                                            \
    CATCH(asm volatile(MARK insn : __VA_ARGS__)); \
    check_caught(name, vec, err);                 \
  } while (0)
#define EXPECT_TRAP(name, vec, err, insn, ...)           \
  do {                                                   \
    CATCH(asm volatile(MARK_AFTER(insn) : __VA_ARGS__)); \
    check_caught(name, vec, err);                        \
  } while (0)
#define EXPECT_OK(name, insn, ...)                \
  do {                                            \
    CATCH(asm volatile(MARK insn : __VA_ARGS__)); \
    check_caught(name, -1, 0);                    \
  } while (0)

/* ---- ring 3 ---- */
#define USER_CODE __attribute__((section(".user.text"), noinline))
#define USER_DATA __attribute__((section(".user.data")))
void enter_ring(Word ip, Word sp, Word cs, Word ss, Word flags) __attribute__((noreturn));
extern u8 user_stack[16384];
/* Runs a function in ring 3 until a trap; vector 0x80 is its normal end. */
int run_user(void (*fn)(void));
int run_user_with(Word ip, Word cs, Word ss, Word flags);
void user_exit(void);

/* ---- descriptor tables ---- */
extern u64 gdt[64];
u64 descriptor(u32 base, u32 limit, u8 access, u8 flags); /* flags: G D L AVL in bits 3..0 */
#ifdef __x86_64__
struct __attribute__((packed)) Tss {
  u32 reserved0;
  u64 rsp[3];
  u64 reserved1;
  u64 ist[7];
  u64 reserved2;
  u16 reserved3, iopb;
  u8 bitmap[8192 + 1];
};
struct __attribute__((packed)) Gate {
  u16 offset0, selector;
  u8 ist, type;
  u16 offset1;
  u32 offset2, reserved;
};
#else
struct __attribute__((packed)) Tss {
  u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
  u32 es, cs, ss, ds, fs, gs, ldt;
  u16 trap, iopb;
  u8 bitmap[8192 + 1];
};
struct __attribute__((packed)) Gate {
  u16 offset0, selector;
  u8 zero, type;
  u16 offset1;
};
#endif
extern struct Tss tss;
extern struct Gate idt[256];
/* type: 0x8E interrupt gate, 0x8F trap gate, 0xEE with DPL 3, ...; ist only counts in 64-bit mode. */
void set_gate(int vector, Word handler, u16 selector, u8 type, u8 ist);
void load_idt(u16 limit);
extern u8 trap_stubs[256][16];
extern u32 boot_magic, boot_info;
