/* Virtual-8086 mode: entry by IRET, what traps to the monitor at IOPL 0 and 3, the I/O bitmap, interrupts out
 * of it, and the virtual interrupt flag and redirection of CR4.VME (SDM volume 3, chapter 20). */
#include "runtime.h"

const char program_name[] = "v86";

extern u8 v86_blob[], v86_blob_end[], v86_plain[], v86_cli[], v86_sti[], v86_pushf[], v86_popf[], v86_iret[],
    v86_int[], v86_int_dpl0[], v86_int3[], v86_in[], v86_mov_cr[], v86_lgdt[], v86_lldt[], v86_str[],
    v86_limit[], v86_iret_good[], v86_vme[], v86_vme_handler[], v86_vme_flags[];
void enter_v86(u32 ip, u32 flags);

static void run(u8* routine, u32 flags) { CATCH(enter_v86((u32)routine, flags)); }
/* A trap at `offset` bytes into the routine. */
static void expect(const char* name, u8* routine, u32 flags, int vector, u32 error, u32 offset) {
  run(routine, flags);
  probe_ip = (u32)routine + offset;
  check_caught(name, vector, error);
}

static void entry(void) {
  run(v86_plain, 0);
  check_caught("plain/hlt-is-gp", kGP, 0);
  check_eq("plain/vm-in-saved-flags", caught.frame.flags & kVm, kVm);
  check_eq("plain/cs", caught.frame.cs & 0xFFFF, 0x1000);
  check_eq("plain/ss", caught.frame.ss & 0xFFFF, 0x1000);
  check_eq("plain/sp", caught.frame.sp, 0xE000);
  check_eq("plain/saved-es", caught.frame.v86_es & 0xFFFF, 0x2000);
  check_eq("plain/saved-ds", caught.frame.v86_ds & 0xFFFF, 0x1000);
  check_eq("plain/saved-fs", caught.frame.v86_fs & 0xFFFF, 0x3333);
  check_eq("plain/saved-gs", caught.frame.v86_gs & 0xFFFF, 0x4444);
  check_eq("plain/segments-are-null-in-the-handler",
           (caught.frame.ds | caught.frame.es | caught.frame.fs | caught.frame.gs) & 0xFFFF, 0);
  check_eq("plain/gs-inside", caught.frame.cx & 0xFFFF, 0x4444);
  check_eq("plain/store", *(volatile u16*)0x20020, 0x1234);
}

static void sensitive(void) {
  expect("iopl-0/cli", v86_cli, 0, kGP, 0, 0);
  expect("iopl-0/sti", v86_sti, 0, kGP, 0, 0);
  expect("iopl-0/pushf", v86_pushf, 0, kGP, 0, 0);
  expect("iopl-0/popf", v86_popf, 0, kGP, 0, 2);
  expect("iopl-0/iret", v86_iret, 0, kGP, 0, 0);
  expect("iopl-0/int-n", v86_int, 0, kGP, 0, 0);
  expect("iopl-0/int3-is-not-sensitive", v86_int3, 0, kBP, 0, 1);
  expect("iopl-3/cli", v86_cli, kIopl3 | kIf, kGP, 0, 1);
  check_eq("iopl-3/cli-clears-if", caught.frame.flags & kIf, 0);
  expect("iopl-3/sti", v86_sti, kIopl3, kGP, 0, 1);
  check_eq("iopl-3/sti-sets-if", caught.frame.flags & kIf, kIf);
  expect("iopl-3/pushf", v86_pushf, kIopl3 | kCf, kGP, 0, 2);
  check_eq("iopl-3/pushf-value", caught.frame.ax & 0xFFFF, kIopl3 | kCf | 2);
  expect("iopl-3/popf", v86_popf, kIopl3, kGP, 0, 3);
  check_eq("iopl-3/popf-keeps-iopl-and-vm", caught.frame.flags & (kIopl3 | kVm | kCf), kIopl3 | kVm | kCf);
  expect("iopl-3/int-n", v86_int, kIopl3, 0x80, 0, 2);
  check_eq("iopl-3/int-n-from-v86", caught.frame.flags & kVm, kVm);
  expect("iopl-3/int-n-gate-dpl-0", v86_int_dpl0, kIopl3, kGP, 0x91 * 8 + 2, 0);
  run(v86_iret_good, kIopl3);
  check_eq("iopl-3/iret", caught.frame.ax & 0xFFFF, 0x77);
  check_eq("iopl-3/iret-keeps-iopl-and-vm", caught.frame.flags & (kIopl3 | kVm), kIopl3 | kVm);
}

static void always(void) {
  expect("any/mov-cr", v86_mov_cr, kIopl3, kGP, 0, 0);
  expect("any/lgdt", v86_lgdt, kIopl3, kGP, 0, 0);
  expect("any/lldt", v86_lldt, kIopl3, kUD, 0, 0);
  expect("any/str", v86_str, kIopl3, kUD, 0, 0);
  if (!oracle_fails("any/limit")) expect("any/limit", v86_limit, kIopl3, kGP, 0, 3);
  expect("io/allowed-by-the-bitmap-at-iopl-0", v86_in, 0, kGP, 0, 4);
  tss.bitmap[32 + 0x3FD / 8] |= 1 << (0x3FD & 7);
  expect("io/refused-by-the-bitmap-at-iopl-3", v86_in, kIopl3, kGP, 0, 3);
  tss.bitmap[32 + 0x3FD / 8] = 0;
}

static void vme(void) {
  if (!cpuid_bit(1, 0, 'd', 1)) {
    skip("vme", "not in CPUID");
    return;
  }
  write_cr4(read_cr4() | kCr4Vme);
  u32 saved = ((volatile u32*)0)[0x21];
  ((volatile u32*)0)[0x21] = 0x10000000 | (u32)v86_vme_handler;
  run(v86_vme, kVif); /* bitmap bit clear: the interrupt stays inside */
  check_eq("vme/redirected", caught.frame.cx & 0xFFFF, 0xBEEF);
  check_eq("vme/pushf-shows-vif-as-if-and-iopl-3", caught.frame.ax & (kIf | kIopl3), kIf | kIopl3);
  tss.bitmap[0x21 / 8] |= 1 << (0x21 & 7);
  run(v86_vme, kVif);
  check_caught("vme/not-redirected-at-iopl-0", kGP, 0);
  tss.bitmap[0x21 / 8] = 0;
  run(v86_vme_flags, 0);
  check_eq("vme/sti-sets-vif", caught.frame.cx & kIf, kIf);
  check_eq("vme/cli-clears-vif", caught.frame.ax & kIf, 0);
  check_eq("vme/if-untouched", caught.frame.flags & kIf, 0);
  expect("vme/sti-with-vip", v86_sti, kVip, kGP, 0, 0);
  write_cr4(read_cr4() & ~(Word)kCr4Vme);
  expect("vme-off/cli", v86_cli, 0, kGP, 0, 0);
  ((volatile u32*)0)[0x21] = saved;
}

void program(void) {
  memcpy((void*)0x10000, v86_blob, (u32)(v86_blob_end - v86_blob));
  tss.iopb = 104 + 32; /* the 32 bytes below are the interrupt redirection map */
  entry();
  sensitive();
  always();
  vme();
}
