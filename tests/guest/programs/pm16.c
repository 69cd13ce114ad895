/* 16-bit protected mode: code and stack segments, prefixes, 16-bit call and interrupt gates
 * (SDM volume 3, 3.4.5, chapter 21). The 16-bit TSS is in task32. */
#include "runtime.h"

const char program_name[] = "pm16";

extern u8 pm16_blob[], pm16_data[], pm16_stack[], pm16_near[], pm16_wrap[], pm16_eip[], pm16_wide[],
    pm16_gate[], pm16_handler[], pm16_caller[], pm16_after_int[];
extern volatile u32 pm16_result[4];
void pm16_call(u32 offset);

static u32 call(u8* routine) {
  pm16_call((u32)routine);
  return pm16_result[0];
}

/* Through 16-bit gates only the low half of eip is saved: the caller runs in a code segment whose base is
 * close to it. */
static void gates(void) {
  static volatile u32 seen[5];
  gdt[0x60 / 8] = (u64)(u16)(u32)pm16_gate | 0x50ull << 16 | 0x0000840000000000ull; /* 16-bit call gate */
  set_gate(0x90, (u32)pm16_handler, 0x50, 0x86, 0);
  gdt[0x68 / 8] = descriptor((u32)pm16_caller, 0xFFFF, 0x9B, 4);
  asm volatile("pushal\n\tmovl %0, %%edi\n\tlcall $0x68, $0\n\tpopal" ::"r"(seen) : "memory", "cc");
  check_eq("call-gate/entered", seen[0], 0x6060);
  check_eq("call-gate/balanced", seen[1], 0);
  check_eq("interrupt-gate/ip-word", seen[2], pm16_after_int - pm16_caller);
  check_eq("interrupt-gate/flags-word", seen[3] & (kCf | 2), kCf | 2);
  check_eq("interrupt-gate/cs-word", seen[4], 0x68);
}

void program(void) {
  gdt[0x50 / 8] = descriptor((u32)pm16_blob, 0xFFFF, 0x9B, 0);
  gdt[0x58 / 8] = descriptor((u32)pm16_data, 0xFFFF, 0x93, 0);
  check_eq("stack/pushes-of-both-sizes", call(pm16_stack), 6u << 16 | ((0x5566 + 0x1122) & 0xFFFF));
  check_eq("stack/upper-half-of-esp-is-kept", pm16_result[1], 0xABCD8000);
  check_eq("near/calls-return", call(pm16_near) & 0xFFFF, ((u32)0x58 + 2) & 0xFFFF);
  check_eq("address/wraps", call(pm16_wrap), 0x5A);
  check_eq("near/16-bit-ip-pushed", call(pm16_eip), 0xFFFF0000);
  check_eq("prefix/operand-and-address", call(pm16_wide), 0x12345678);
  check_eq("data/in-the-right-place", *(volatile u32*)(pm16_data + 0x40), 0x12345678);
  gates();
}
