/* Real mode: the interrupt vector table, 64 KiB limits, segment arithmetic, far transfers, strings, unreal
 * mode (SDM volume 3, chapter 20). The 16-bit code is in real_code.S and leaves its findings in memory. */
#include "runtime.h"

const char program_name[] = "real";

extern u8 real_blob[], real_blob_end[], gdt_pointer[], real_handler[];
extern u8 real_interrupt[], real_arithmetic[], real_far[], real_strings[], real_limit[], real_limit_32[],
    real_stack_fault[], real_divide[], real_undefined[], real_unreal[];
void real_run(u32 offset);
static volatile u16* const results = (volatile u16*)0x1F000;

static void run(u8* routine) {
  memset((void*)results, 0, 64);
  real_run((u32)routine);
}
static void vector(u32 n, u32 offset) { ((volatile u32*)0)[n] = 0x10000000 | offset; }

static void fault(const char* name, u8* routine) {
  run(routine);
  check_eq(name, results[20], 1);
  check_eq("fault/saved-ip", results[16], results[0]);
  check_eq("fault/saved-cs", results[17], 0x1000);
}

void program(void) {
  memcpy((void*)0x10000, real_blob, (u32)(real_blob_end - real_blob));
  struct TablePointer pointer = {sizeof gdt - 1, (Word)gdt};
  memcpy((u8*)0x10000 + (gdt_pointer - real_blob), &pointer, 6);
  gdt[0x50 / 8] = descriptor(0x10000, 0xFFFF, 0x9B, 0);
  gdt[0x58 / 8] = descriptor(0x10000, 0xFFFF, 0x93, 0);
  asm volatile("" ::: "memory");
  static u32 saved[256];
  for (u32 i = 0; i < 256; ++i) saved[i] = ((volatile u32*)0)[i];
  static const u8 kVectors[] = {0, 3, 5, 6, 12, 13, 0x90};
  for (u32 i = 0; i < sizeof kVectors; ++i) vector(kVectors[i], (u32)real_handler);

  run(real_interrupt);
  check_eq("int/taken-twice", results[20], 2);
  check_eq("int/if-and-tf-clear-inside", results[19] & (kIf | kTf), 0);
  check_eq("int/flags-restored", results[0] & (kIf | kCf), kIf | kCf);
  check_eq("int/saved-cs", results[17], 0x1000);

  run(real_arithmetic);
  check_eq("data/store-and-load", results[0], 0x1234);
  check_eq("data/in-the-right-place", *(volatile u16*)0x20010, 0x1234);
  check_eq("data/32-bit-register", results[1] | (u32)results[2] << 16, 0xABCDEF89);
  check_eq("data/offset-ffff", results[3], 0x77);
  check_eq("data/above-1-mib", results[4], *(volatile u16*)0x100000);
  check_eq("data/pe-clear", results[5], 0);
  check_eq("data/push-sp-is-the-old-one", results[6], 0);
  check_eq("data/loop", results[7], 8);
  check_eq("data/push32-pop16", results[8] | (u32)results[9] << 16, 0x11223344);

  run(real_far);
  check_eq("far/call-balanced", results[0], 0);
  check_eq("far/lret-4", results[1], 0);
  check_eq("far/iret", results[2], 0);
  check_eq("far/cs-inside", results[4], 0x0FFF);

  run(real_strings);
  check_eq("strings/moved", results[0], 'e' | 'f' << 8);
  check_eq("strings/di", results[2], 0x106);
  check_eq("strings/scas-down-cx", results[3], 0x10 - 4);
  check_eq("strings/scas-down-di", results[4], 0x101);
  check_eq("strings/di-wraps", results[5], 0x5A);
  check_eq("strings/di-after-wrap", results[6], 2);

  fault("fault/divide", real_divide);
  fault("fault/undefined", real_undefined);
  if (!oracle_fails("fault/limits")) {
    fault("fault/word-at-ffff", real_limit);
    fault("fault/32-bit-offset", real_limit_32);
    fault("fault/stack", real_stack_fault);
  }
  run(real_unreal);
  check_eq("unreal/beyond-64k", results[0] | (u32)results[1] << 16, *(volatile u32*)0x100000);
  check_eq("unreal/survives-a-load", results[2] | (u32)results[3] << 16, *(volatile u32*)0x110000);
  for (u32 i = 0; i < 256; ++i) ((volatile u32*)0)[i] = saved[i];
}
