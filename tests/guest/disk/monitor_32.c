/* The monitor: what the virtual-8086 task may not do itself traps, and is done here as a real-mode machine
 * would do it. */
#include "monitor.h"

struct TrapFrame {
  u32 edi, esi, ebp, unused, ebx, edx, ecx, eax;
  u32 vector, error, eip, cs, eflags, esp, ss, es, ds, fs, gs;
};
struct __attribute__((packed)) Tss {
  u32 link, esp0, ss0, rest[22];
  u16 trap, bitmap_offset;
  u8 bitmap[8192 + 1];
};
struct Gate {
  u16 offset0, selector, type, offset1;
};

/* Where the BIOS and the program have nothing. */
#define PAGE_DIRECTORY ((volatile u32*)0x20000)
#define PAGE_TABLE ((volatile u32*)0x21000)
static struct Tss* const tss = (struct Tss*)0x22000;
enum { kPresent = 7, kMasterBase = 0x50, kTss = 0x28 };

struct Gate idt[256];
extern u8 stubs[256][16], monitor_stack_end[];
extern u64 gdt[];
void leave_monitor(void) __attribute__((noreturn));
static bool interrupts_on; /* as the task sees it */
static u32 pending;        /* of the master's lines */

static void master_base(u8 base) {
  u8 mask = inb(0x21);
  outb(0x20, 0x11);
  outb(0x21, base);
  outb(0x21, 4);
  outb(0x21, 1);
  outb(0x21, mask);
}

static void page_tables(void) {
  for (u32 i = 0; i < 1024; ++i) PAGE_DIRECTORY[i] = 0;
  for (u32 i = 0; i < 1024; ++i) PAGE_TABLE[i] = i << 12 | kPresent;
  /* The first 64 KiB again at 1 MiB: as if A20 were off. */
  for (u32 i = 0; i < 16; ++i) PAGE_TABLE[0x100 + i] = i << 12 | kPresent;
  PAGE_TABLE[ABSENT >> 12] = 0;
  PAGE_DIRECTORY[0] = (u32)PAGE_TABLE | kPresent;
  write_cr3((u32)PAGE_DIRECTORY);
  write_cr0(read_cr0() | kCr0Pg | kCr0Wp);
}

static void task_segment(void) {
  u8* bytes = (u8*)tss;
  for (u32 i = 0; i < sizeof *tss; ++i) bytes[i] = 0;
  tss->esp0 = (u32)monitor_stack_end;
  tss->ss0 = 0x10;
  tss->bitmap_offset = 104;
  tss->bitmap[8192] = 0xFF;
  tss->bitmap[TRAPPED_PORT / 8] = 1 << TRAPPED_PORT % 8;
  u32 base = (u32)tss, limit = sizeof *tss - 1;
  gdt[kTss / 8] = limit | (u64)(base & 0xFFFFFF) << 16 | (u64)0x89 << 40 | (u64)(base >> 24) << 56;
  asm volatile("ltr %w0" ::"r"(kTss));
}

void monitor_start(void) {
  for (u32 i = 0; i < 256; ++i) {
    u32 stub = (u32)stubs[i];
    /* Privilege level 3 for all: that INT n traps is the task's I/O privilege level, not the gate's. */
    idt[i] = (struct Gate){(u16)stub, 0x08, 0xEE00, (u16)(stub >> 16)};
  }
  page_tables();
  task_segment();
  master_base(kMasterBase); /* off the exceptions */
  interrupts_on = true;
}

/* ---- the task's memory ---- */
static volatile u16* stack_word(struct TrapFrame* f) { return (volatile u16*)((f->ss << 4) + (u16)f->esp); }
static void push16(struct TrapFrame* f, u16 v) {
  f->esp = (u16)(f->esp - 2);
  *stack_word(f) = v;
}
static u16 pop16(struct TrapFrame* f) {
  u16 v = *stack_word(f);
  f->esp = (u16)(f->esp + 2);
  return v;
}
static void push(struct TrapFrame* f, u32 v, bool wide) {
  if (wide) push16(f, (u16)(v >> 16));
  push16(f, (u16)v);
}
static u32 pop(struct TrapFrame* f, bool wide) {
  u32 v = pop16(f);
  return wide ? v | (u32)pop16(f) << 16 : v;
}

/* ---- flags and interrupts as the task sees them ---- */
static u32 task_flags(const struct TrapFrame* f) {
  return (f->eflags & ~(u32)(kVm | kRf | kIf)) | (interrupts_on ? kIf : 0);
}
static void set_task_flags(struct TrapFrame* f, u32 v) {
  enum { kHis = kCf | kPf | kAf | kZf | kSf | kTf | kDf | kOf | kNt };
  f->eflags = (f->eflags & ~(u32)kHis) | (v & kHis) | kVm | kIf | 2;
  interrupts_on = v & kIf;
}
/* As real mode delivers an interrupt. */
static void reflect(struct TrapFrame* f, u32 vector) {
  push16(f, (u16)task_flags(f));
  push16(f, (u16)f->cs);
  push16(f, (u16)f->eip);
  f->cs = ((volatile u16*)(vector * 4))[1];
  f->eip = ((volatile u16*)(vector * 4))[0];
  interrupts_on = false;
  f->eflags &= ~(u32)kTf;
}
static void deliver_pending(struct TrapFrame* f) {
  if (!interrupts_on || !pending) return;
  u32 line = (u32)__builtin_ctz(pending);
  pending &= ~(1u << line);
  ++statistics.hardware;
  reflect(f, 8 + line);
}

/* ---- what traps ---- */
static void unexpected(void) {
  ++statistics.unexpected;
  master_base(8);
  leave_monitor();
}

static void emulate(struct TrapFrame* f) {
  const volatile u8* code = (const volatile u8*)((f->cs << 4) + f->eip);
  bool wide = false;
  u32 length = 1;
  while (*code == 0x66 || *code == 0x67 || *code == 0xF3 || *code == 0x2E) {
    wide |= *code++ == 0x66;
    ++length;
  }
  u32 next = f->eip + length;
  switch (*code) {
    case 0xFA:
      interrupts_on = false;
      ++statistics.cli;
      break;
    case 0xFB:
      interrupts_on = true;
      ++statistics.sti;
      break;
    case 0x9C:
      push(f, task_flags(f), wide);
      break;
    case 0x9D:
      set_task_flags(f, pop(f, wide));
      break;
    case 0xF4:
      interrupts_on = true;
      break; /* as if an interrupt had come at once */
    case 0xE6:
      statistics.trapped_out = f->eax & 0xFF;
      next += 1;
      break;
    case 0xEE:
      statistics.trapped_out = f->eax & 0xFF;
      break;
    case 0xCD: {
      u8 vector = code[1];
      if (vector == 0xF0) {
        master_base(8);
        leave_monitor();
      }
      ++statistics.software;
      f->eip = next + 1;
      reflect(f, vector);
      return;
    }
    case 0xCF: {
      ++statistics.iret;
      f->eip = (u16)pop(f, wide);
      f->cs = (u16)pop(f, wide);
      set_task_flags(f, pop(f, wide));
      return;
    }
    default:
      unexpected();
  }
  f->eip = (u16)next;
}

void monitor_trap(struct TrapFrame* f) {
  u32 vector = f->vector;
  if (!(f->eflags & kVm)) unexpected();
  if (vector >= kMasterBase && vector < kMasterBase + 8) {
    pending |= 1u << (vector - kMasterBase);
  } else if (vector >= 0x70 && vector < 0x78) {
    ++statistics.hardware;
    reflect(f, vector);
    return;
  } else if (vector == kGP) {
    emulate(f);
  } else if (vector == kPF && read_cr2() >> 12 == ABSENT >> 12) {
    ++statistics.page_faults;
    PAGE_TABLE[ABSENT >> 12] = ABSENT | kPresent;
  } else if (vector == kDE || vector == kDB || vector == kBP || vector == kUD) {
    reflect(f, vector);
    return;
  } else {
    unexpected();
  }
  deliver_pending(f);
}
