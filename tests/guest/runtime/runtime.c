/* Descriptor tables and trap dispatch, 32- and 64-bit (SDM volume 3, chapters 3 and 6). */
#include "runtime.h"

/* The first 32 entries of gdt[] are fixed by cpu.h; programs are free from kFreeSel on. */
u64 gdt[64] __attribute__((aligned(16))) = {
    0,
#ifdef __x86_64__
    0x00AF9B000000FFFF, /* 08 kernel code, 64-bit */
#else
    0x00CF9B000000FFFF, /* 08 kernel code, 32-bit */
#endif
    0x00CF93000000FFFF, /* 10 kernel data */
    0x00CFFB000000FFFF, /* 18 user code, 32-bit */
    0x00CFF3000000FFFF, /* 20 user data */
#ifdef __x86_64__
    0x00AFFB000000FFFF, /* 28 user code, 64-bit */
#else
    0x00CFFB000000FFFF,
#endif
    0x00CFF3000000FFFF, /* 30 user data, where SYSEXIT to 64-bit mode wants it */
    0x00CF9B000000FFFF, /* 38 kernel code, 32-bit */
};

struct Tss tss __attribute__((aligned(128)));
struct Gate idt[256] __attribute__((aligned(16)));
volatile struct Caught caught;
volatile Word probe_ip;
volatile int catch_armed;
u8 user_stack[16384] USER_DATA __attribute__((aligned(4096)));
static u8 ring0_stack[8192] __attribute__((aligned(4096)));
#ifdef __x86_64__
static u8 ist_stack[3][8192] __attribute__((aligned(4096)));
#endif
static Handler handlers[256];
void __attribute__((noreturn)) catch_resume(void);

u64 descriptor(u32 base, u32 limit, u8 access, u8 flags) {
  return (limit & 0xFFFF) | (u64)(base & 0xFFFFFF) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 |
         (u64)(flags & 15) << 52 | (u64)(base >> 24) << 56;
}

void set_gate(int vector, Word handler, u16 selector, u8 type, u8 ist) {
  struct Gate* g = &idt[vector];
  g->offset0 = (u16)handler;
  g->selector = selector;
  g->type = type;
  g->offset1 = (u16)(handler >> 16);
#ifdef __x86_64__
  g->ist = ist;
  g->offset2 = (u32)(handler >> 32);
  g->reserved = 0;
#else
  (void)ist;
  g->zero = 0;
#endif
}

void load_idt(u16 limit) {
  struct TablePointer p = {limit, (Word)idt};
  asm volatile("lidt %0" ::"m"(p));
}

void set_handler(int vector, Handler handler) { handlers[vector] = handler; }

void runtime_init(void) {
  outb(0x21, 0xFF); /* both 8259 masked: whoever wants interrupts asks for them */
  outb(0xA1, 0xFF);
  outb(0x3F9, 0); /* no serial interrupts */
  outb(0x3FB, 3); /* 8 data bits, no parity, 1 stop bit */
  for (int v = 0; v < 256; ++v) {
    bool user = v == kBP || v == kOF || v == 0x80;
    set_gate(v, (Word)trap_stubs[v], kCs, user ? 0xEE : 0x8E, v == kDF ? 1 : 0);
  }
  load_idt(sizeof idt - 1);
  /* Ring 3 functions return to user_exit. Written once here: later SMAP may be on. */
  *((Word*)&user_stack[sizeof user_stack - 64] - 1) = (Word)user_exit;
  tss.iopb = 104; /* the bitmap follows at once: all zero, every port allowed to ring 3 */
  tss.bitmap[8192] = 0xFF;
#ifdef __x86_64__
  tss.rsp[0] = (Word)(ring0_stack + sizeof ring0_stack);
  for (int i = 0; i < 3; ++i) tss.ist[i] = (Word)(ist_stack[i] + sizeof ist_stack[i]);
  gdt[kTssSel / 8 + 1] = 0;
#else
  tss.esp0 = (Word)(ring0_stack + sizeof ring0_stack);
  tss.ss0 = kDs;
#endif
  gdt[kTssSel / 8] = descriptor((u32)(Word)&tss, sizeof tss - 1, 0x89, 0);
  asm volatile("lldt %w0\n\tltr %w1" ::"r"(0), "r"(kTssSel));
}

void trap_dispatch(struct Frame* f) {
  if (handlers[f->vector] && handlers[f->vector](f)) return;
  if (!catch_armed) {
    print("unexpected trap ");
    print_dec((u32)f->vector);
    print(" error=");
    print_hex(f->error);
    print(" ip=");
    print_hex(f->ip);
    print(" cr2=");
    print_hex(read_cr2());
    print("\n");
    check("unexpected-trap", false);
    finish();
  }
  catch_armed = 0;
  caught.cr2 = read_cr2();
  caught.dr6 = read_dr6();
  memcpy((void*)&caught.frame, f, sizeof *f);
  caught.vector = (int)f->vector;
  catch_resume();
}

int run_user_with(Word ip, Word cs, Word ss, Word flags) {
  if (catch_begin() == 0) {
    enter_ring(ip, (Word)&user_stack[sizeof user_stack - 64] - sizeof(Word), cs, ss, flags);
  }
  return caught.vector;
}

int run_user(void (*fn)(void)) { return run_user_with((Word)fn, kUserCs, kUserDs, 2); }
