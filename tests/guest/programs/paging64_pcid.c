/* Process-context identifiers and INVPCID (SDM volume 3, 4.10.1 and 4.10.4). What may be stale is not tested,
 * only what must not be. */
#include "paging.h"

const char program_name[] = "paging64_pcid";

static u8 frames[4][4096] __attribute__((aligned(4096)));
static const u64 kVa = 0x0000050000000000ull;
static u64* space[2];

static u64 load(void) { return *(volatile u64*)kVa; }
static void invpcid(u64 type, u64 pcid, u64 address) {
  u64 descriptor[2] = {pcid, address};
  asm volatile("invpcid %0, %1" ::"m"(descriptor), "r"(type) : "memory");
}
static void enter(u32 which, u64 flags) { write_cr3((u64)space[which] | (which + 1) | flags); }
static u64 leaf(u32 frame) { return (u64)frames[frame] | kP | kW; }

static void invalidations(u64* entry[2]) {
  u32 wrong = 0;
  const u64 kKeep = 1ull << 63;
  for (u32 i = 0; i < 40; ++i) {
    enter(0, kKeep);
    if (load() != (i & 1 ? 2 : 0)) ++wrong;
    *entry[0] = leaf(i & 1 ? 0 : 2);
    invpcid(0, 1, kVa);
  }
  check_eq("invpcid/individual-address", wrong, 0);
  for (u32 i = 0; i < 40; ++i) {
    enter(1, kKeep);
    *entry[0] = leaf(i & 1 ? 0 : 2); /* of the space that is not active */
    invpcid(i & 2 ? 1 : i & 4 ? 2 : 3, 1, 0);
    enter(0, kKeep);
    if (load() != (i & 1 ? 0 : 2)) ++wrong;
  }
  check_eq("invpcid/other-context", wrong, 0);
  for (u32 i = 0; i < 40; ++i) {
    enter(1, kKeep);
    *entry[0] = leaf(i & 1 ? 0 : 2);
    enter(0, 0); /* bit 63 clear: this context's entries go */
    if (load() != (i & 1 ? 0 : 2)) ++wrong;
  }
  check_eq("mov-cr3/flushes-its-context", wrong, 0);
  for (u32 i = 0; i < 40; ++i) {
    *entry[0] = leaf(i & 1 ? 0 : 2);
    invlpg(kVa);
    if (load() != (i & 1 ? 0 : 2)) ++wrong;
  }
  check_eq("invlpg/current-context", wrong, 0);
}

USER_CODE static void user_invpcid(void) {
  u64 d[2] = {0, 0};
  asm volatile("invpcid %0, %1" ::"m"(d), "r"(0ull));
}

void program(void) {
  if (!oracle_fails("cr3/bit-63-without-pcide")) {
    EXPECT_FAULT("cr3/bit-63-without-pcide", kGP, 0, "mov %0, %%cr3", : "r"(read_cr3() | 1ull << 63));
  }
  if (!cpuid_bit(1, 0, 'c', 17)) {
    EXPECT_FAULT("cr4/pcide-not-in-cpuid", kGP, 0, "mov %0, %%cr4", : "r"(read_cr4() | kCr4Pcide));
    skip("pcid", "not in CPUID");
    return;
  }
  for (u32 i = 0; i < 4; ++i) *(u64*)frames[i] = i;
  u64* entry[2];
  for (u32 i = 0; i < 2; ++i) {
    space[i] = new_page();
    space[i][0] = boot_pml4[0];
    entry[i] = map(space[i], kVa, (u64)frames[i], 1, kW);
  }
  write_cr3((u64)boot_pml4 | 5);
  EXPECT_FAULT("cr4/pcide-with-nonzero-cr3-bits", kGP, 0, "mov %0, %%cr4", : "r"(read_cr4() | kCr4Pcide));
  write_cr3((u64)boot_pml4);
  write_cr4(read_cr4() | kCr4Pcide);
  check("cr4/pcide", read_cr4() & kCr4Pcide);
  enter(0, 0);
  check_eq("space/0", load(), 0);
  check_eq("cr3/reads-back-pcid", read_cr3(), (u64)space[0] | 1);
  enter(1, 0);
  check_eq("space/1", load(), 1);
  u32 wrong = 0;
  for (u32 i = 0; i < 100; ++i) {
    enter(i & 1, 1ull << 63);
    if (load() != (i & 1)) ++wrong;
  }
  check_eq("space/alternating-without-flush", wrong, 0);
  enter(0, 1ull << 63);
  check_eq("cr3/bit-63-reads-zero", read_cr3() >> 63, 0);
  EXPECT_FAULT("cr3/bit-62", kGP, 0, "mov %0, %%cr3", : "r"(read_cr3() | 1ull << 62));
  if (cpuid_bit(7, 0, 'b', 10)) {
    invalidations(entry);
    u64 bad[2] = {0x1000, 0}, far[2] = {1, 0x0000800000000000ull}, good[2] = {1, kVa};
    EXPECT_FAULT("invpcid/type-4", kGP, 0, "invpcid %0, %1", : "m"(good), "r"(4ull));
    EXPECT_FAULT("invpcid/reserved-bits", kGP, 0, "invpcid %0, %1", : "m"(bad), "r"(0ull));
    EXPECT_FAULT("invpcid/non-canonical", kGP, 0, "invpcid %0, %1", : "m"(far), "r"(0ull));
    EXPECT_FAULT("invpcid/descriptor-absent", kPF, 0, "invpcid (%0), %1", : "r"(kVa + 4096), "r"(0ull));
  } else {
    skip("invpcid", "not in CPUID");
  }
  write_cr3((u64)boot_pml4);
  if (cpuid_bit(7, 0, 'b', 10)) {
    run_user(user_invpcid);
    check_caught("invpcid/in-ring-3", kGP, 0);
  }
  write_cr4(read_cr4() & ~(Word)kCr4Pcide);
  check("cr4/pcide-off", !(read_cr4() & kCr4Pcide));
}
