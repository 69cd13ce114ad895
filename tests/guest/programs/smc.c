/* Code that changes itself or is changed, in the shapes in which real programs do it (SDM volume 3, 8.1.3 and
 * 11.6: a store to code is seen by the next branch, on x86 processors even by the next instruction). */
#include "paging.h"

const char program_name[] = "smc";

static u8 code[2][4096] __attribute__((aligned(4096)));
typedef u64 (*Function)(u64);

static u64 call(const void* at, u64 argument) { return ((Function)(Word)at)(argument); }
/* mov eax, imm32; ret */
static void emit_constant(u8* at, u32 value) {
  at[0] = 0xB8;
  memcpy(at + 1, &value, 4);
  at[5] = 0xC3;
}

static void rewrite_function(void) {
  u32 wrong = 0;
  for (u32 i = 0; i < 1000; ++i) {
    emit_constant(code[0], i * 0x10001);
    if (call(code[0], 0) != i * 0x10001) ++wrong;
  }
  check_eq("function/rewritten-1000-times", wrong, 0);
  /* Only one byte of the immediate changes. */
  for (u32 i = 0; i < 256; ++i) {
    ((volatile u8*)code[0])[2] = (u8)i;
    if ((call(code[0], 0) >> 8 & 0xFF) != i) ++wrong;
  }
  check_eq("function/one-byte", wrong, 0);
  /* Many functions in one page, one rewritten at a time, all called. */
  for (u32 f = 0; f < 64; ++f) emit_constant(code[1] + f * 64, f);
  for (u32 i = 0; i < 64; ++i) {
    emit_constant(code[1] + i * 64, i + 1000);
    for (u32 f = 0; f < 64; f += 7) {
      if (call(code[1] + f * 64, 0) != (f <= i ? f + 1000 : f)) ++wrong;
    }
  }
  check_eq("function/neighbours-in-the-page", wrong, 0);
}

u64 smc_next_instruction(void), smc_next_wide(void), smc_own_loop(u64 n), smc_rep_over_itself(void);
u64 smc_jump_target(u64 n), smc_push_over_next(void), smc_flags_across(void), smc_call_patches_return(void);
u64 smc_far_ahead(u64 n), smc_locked(void), smc_opcode_to_ud(void);

static void self(void) {
  check_eq("self/next-instruction", smc_next_instruction(), 0x22);
  check_eq("self/next-instruction-again", smc_next_instruction(), 0x22);
  check_eq("self/next-8-bytes", smc_next_wide(), 0x77);
  /* The loop adds its own counter through an immediate that it rewrites on each of 1000 rounds. */
  check_eq("self/loop-body", smc_own_loop(1000), 1000 * 1001 / 2);
  check_eq("self/loop-body-again", smc_own_loop(50), 50 * 51 / 2);
  check_eq("self/rep-stos-over-what-follows", smc_rep_over_itself(), 0x40);
  check_eq("self/jump-displacement", smc_jump_target(0), 0x10);
  check_eq("self/jump-displacement-other", smc_jump_target(1), 0x20);
  check_eq("self/jump-displacement-back", smc_jump_target(0), 0x10);
  check_eq("self/flags-across-the-store", smc_flags_across(), 1);
  check_eq("self/callee-patches-what-follows-the-call", smc_call_patches_return(), 0x99);
  check_eq("self/block-ahead", smc_far_ahead(100), 5050);
  check_eq("self/locked-exchange", smc_locked(), 0x33);
  CATCH(smc_opcode_to_ud());
  check_caught("self/becomes-ud2", kUD, 0);
}

static void alias(void) {
  u64 va = 0x0000020000000000ull;
  map(boot_pml4, va, (u64)code[0], 1, kW);
  map(boot_pml4, va + 0x10000, (u64)code[0], 1, kW | kNx);
  u32 wrong = 0;
  for (u32 i = 0; i < 200; ++i) {
    emit_constant((u8*)(va + 0x10000), i);
    if (call((void*)va, 0) != i) ++wrong;
    if (call(code[0], 0) != i) ++wrong;
  }
  check_eq("alias/write-through-another-address", wrong, 0);
  /* The page of the code is mapped somewhere else; the same address is other code. */
  emit_constant(code[0], 0xA);
  emit_constant(code[1], 0xB);
  for (u32 i = 0; i < 100; ++i) {
    map(boot_pml4, va, (u64)code[i & 1], 1, kW);
    if (call((void*)va, 0) != (i & 1 ? 0xB : 0xA)) ++wrong;
  }
  check_eq("alias/remapped-code", wrong, 0);
  /* An instruction across two pages whose frames are not neighbours: either half changes. */
  static u8 frames[3][4096] __attribute__((aligned(4096)));
  map(boot_pml4, va + 0x20000, (u64)frames[2], 1, kW);
  map(boot_pml4, va + 0x21000, (u64)frames[0], 1, kW);
  u8* at = (u8*)va + 0x21000 - 3;
  emit_constant(at, 0x11223344);
  check_eq("cross/first", call(at, 0), 0x11223344);
  for (u32 i = 0; i < 100; ++i) {
    frames[0][0] = (u8)i;
    frames[2][4094] = (u8)(i * 3);
    u32 want = 0x11u << 24 | (u32)(u8)i << 16 | 0x33u << 8 | (u8)(i * 3);
    if (call(at, 0) != want) ++wrong;
  }
  check_eq("cross/halves-change", wrong, 0);
  memcpy(frames[1], frames[0], 4096);
  frames[1][1] = 0x55;
  map(boot_pml4, va + 0x21000, (u64)frames[1], 1, kW);
  check_eq("cross/second-page-remapped", call(at, 0) >> 24, 0x55);
  map(boot_pml4, va + 0x21000, (u64)frames[0], 1, kW);
  check_eq("cross/second-page-back", call(at, 0) >> 24, 0x11);
  u64* e = entry_of(boot_pml4, va + 0x21000, 1);
  *e &= ~kP;
  invlpg(va + 0x21000);
  CATCH(call(at, 0));
  probe_ip = (Word)at;
  check_caught("cross/second-page-absent", kPF, 0x10);
  check_eq("cross/fault-address-is-the-second-page", caught.cr2, va + 0x21000);
  *e |= kP;
  check_eq("cross/present-again", call(at, 0) >> 24, 0x11);
  *e |= kNx;
  invlpg(va + 0x21000);
  CATCH(call(at, 0));
  probe_ip = (Word)at;
  check_caught("cross/second-page-nx", kPF, 0x11);
}

/* An indirect call site that sees many targets, and a table of jumps that is rewritten. */
static void tables(void) {
  u64 sum = 0, want = 0;
  for (u32 f = 0; f < 32; ++f) emit_constant(code[0] + f * 16, f * f);
  for (u32 i = 0; i < 640; ++i) {
    sum += call(code[0] + (i * 7 % 32) * 16, 0);
    want += (u64)(i * 7 % 32) * (i * 7 % 32);
  }
  check_eq("table/many-targets", sum, want);
  for (u32 i = 0; i < 32; ++i) emit_constant(code[0] + i * 16, i + 5);
  sum = 0;
  for (u32 i = 0; i < 32; ++i) sum += call(code[0] + i * 16, 0);
  check_eq("table/rewritten-targets", sum, 31 * 32 / 2 + 5 * 32);
  /* Data and code side by side: the counter in the page of the code is written on every call. */
  static const u8 counter[] = {0x48, 0xFF, 0x05, 0x39, 0, 0, 0,        /* incq 0x39(%rip): offset 0x40 */
                               0x48, 0x8B, 0x05, 0x32, 0, 0, 0, 0xC3}; /* movq the same, %rax */
  memcpy(code[1], counter, sizeof counter);
  *(volatile u64*)(code[1] + 0x40) = 0;
  u64 last = 0;
  for (int i = 0; i < 1000; ++i) last = call(code[1], 0);
  check_eq("table/data-beside-code", last, 1000);
  /* Copied code runs like the original; the copy is then overwritten by data and by code again. */
  memcpy(code[0], counter, sizeof counter);
  *(volatile u64*)(code[0] + 0x40) = 41;
  check_eq("table/copied-code", call(code[0], 0), 42);
  memset(code[0], 0xCC, 64);
  CATCH(call(code[0], 0));
  check_eq("table/now-int3", (u64)caught.vector, kBP);
  emit_constant(code[0], 7);
  check_eq("table/code-again", call(code[0], 0), 7);
}

void program(void) {
  rewrite_function();
  self();
  alias();
  tables();
}
