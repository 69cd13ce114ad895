/* What programs that the BIOS boots have besides runtime.h: calls of the BIOS, and memory of any real-mode
 * segment. */
#pragma once
#include "runtime.h"

struct Registers {
  u32 ax, bx, cx, dx, si, di, bp;
  u16 ds, es;
  u32 flags; /* out only */
};
extern u8 boot_drive;

/* INT `vector` with these registers, and the registers afterwards. */
void bios(u32 vector, struct Registers* registers);

/* Free for transfers: below the program's stack, and behind the program. */
#define BUFFER ((u8*)0xF800)

static inline u8 peek8(u16 segment, u32 offset) {
  u8 v;
  asm volatile("movw %1, %%fs\n\tmovb %%fs:(%2), %0" : "=q"(v) : "r"(segment), "r"(offset) : "memory");
  return v;
}
static inline u16 peek16(u16 segment, u32 offset) {
  u16 v;
  asm volatile("movw %1, %%fs\n\tmovw %%fs:(%2), %0" : "=r"(v) : "r"(segment), "r"(offset) : "memory");
  return v;
}
static inline void poke8(u16 segment, u32 offset, u8 v) {
  asm volatile("movw %0, %%fs\n\tmovb %1, %%fs:(%2)" ::"r"(segment), "q"(v), "r"(offset) : "memory");
}
static inline bool carry(const struct Registers* r) { return r->flags & kCf; }
static inline u8 high(u32 v) { return (u8)(v >> 8); }
