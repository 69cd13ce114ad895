/* "Unreal" mode beside the BIOS: segment limits of 4 GiB that real mode keeps, through interrupts and BIOS
 * calls; and the BIOS's own way to high memory, INT 15h AH=87h. */
#include "bios.h"

const char program_name[] = "unreal";

#define HIGH1 0x200000u
#define HIGH2 0x300000u

static u64 table[4];
static struct TablePointer pointer;

/* FS gets a limit of 4 GiB in protected mode, and base 0 again in real mode. */
static void enter_unreal(void) {
  table[1] = 0x00CF93000000FFFF;
  pointer = (struct TablePointer){sizeof table - 1, (Word)table};
  asm volatile(
      "cli\n\tlgdtl %0\n\tmovl %%cr0, %%eax\n\torb $1, %%al\n\tmovl %%eax, %%cr0\n\tjmp 1f\n1:\n\t"
      "movw $8, %%cx\n\tmovw %%cx, %%fs\n\tandb $0xFE, %%al\n\tmovl %%eax, %%cr0\n\tjmp 1f\n1:\n\t"
      "xorw %%cx, %%cx\n\tmovw %%cx, %%fs\n\tsti" ::"m"(pointer)
      : "eax", "ecx", "memory", "cc");
}
static void put(u32 address, u32 v) { asm volatile("movl %0, %%fs:(%1)" ::"r"(v), "r"(address) : "memory"); }
static u32 get(u32 address) {
  u32 v;
  asm volatile("movl %%fs:(%1), %0" : "=r"(v) : "r"(address) : "memory");
  return v;
}

static u64 data_at(u32 base) {
  return 0xFFFF | (u64)(base & 0xFFFFFF) << 16 | (u64)0x93 << 40 | (u64)(base >> 24) << 56;
}

void program(void) {
  struct Registers r = {.ax = 0x2401};
  bios(0x15, &r);
  check_eq("a20/ah", high(r.ax), 0);
  check_eq("msw/pe-clear", read_cr0() & kCr0Pe, 0);

  enter_unreal();
  for (u32 i = 0; i < 1024; ++i) put(HIGH1 + i * 4, i * 0x01010101);
  check_eq("high/store-and-load", get(HIGH1 + 4 * 77), 77 * 0x01010101);
  check_eq("high/not-in-low-memory", *(volatile u32*)(BUFFER + 4) == 0x01010101, 0);

  /* FS goes through a load and through the timer's interrupts with its limit. */
  u16 start = *(volatile u16*)0x46C;
  for (u32 turns = 0; *(volatile u16*)0x46C == start && turns < 200000000; ++turns) {
  }
  check("timer/ticked", *(volatile u16*)0x46C != start);
  check_eq("timer/limit-kept", get(HIGH1 + 4 * 99), 99 * 0x01010101);
  asm volatile("movw $0x1000, %%ax\n\tmovw %%ax, %%fs" ::: "ax");
  check_eq("load/base-new-limit-kept", get(HIGH1 - 0x10000 + 4 * 5), 5 * 0x01010101);
  asm volatile("xorw %%ax, %%ax\n\tmovw %%ax, %%fs" ::: "ax", "cc");

  static u64 blocks[6];
  blocks[2] = data_at(HIGH1);
  blocks[3] = data_at(HIGH2);
  r = (struct Registers){.ax = 0x8700, .cx = 2048, .si = (u32)blocks};
  bios(0x15, &r);
  check_eq("block-move/ah", high(r.ax), 0);
  check_eq("block-move/pe-clear", read_cr0() & kCr0Pe, 0);
  enter_unreal();
  check_eq("block-move/first", get(HIGH2 + 4), 0x01010101);
  check_eq("block-move/last", get(HIGH2 + 4 * 1023), 1023u * 0x01010101u);
  blocks[2] = data_at(HIGH2);
  blocks[3] = data_at((u32)BUFFER);
  r = (struct Registers){.ax = 0x8700, .cx = 16, .si = (u32)blocks};
  bios(0x15, &r);
  check_eq("block-move/down", ((volatile u32*)BUFFER)[7], 0x07070707);
}
