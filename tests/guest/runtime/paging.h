/* Long-mode page tables of a program's own, built page by page (SDM volume 3, 4.5). */
#pragma once
#include "runtime.h"

#define kP 1ull
#define kW 2ull
#define kU 4ull
#define kPwt 8ull
#define kPcd 0x10ull
#define kA 0x20ull
#define kD 0x40ull
#define kPs 0x80ull
#define kG 0x100ull
#define kNx (1ull << 63)
#define kFrame 0x000FFFFFFFFFF000ull

/* Page-fault error code. */
enum { kErrP = 1, kErrW = 2, kErrU = 4, kErrRsvd = 8, kErrI = 0x10 };

/* A zeroed page out of a pool of 256. */
u64* new_page(void);
/* The entry for `va` at `level` (1: 4 KiB, 2: 2 MiB, 3: 1 GiB) under a PML4; tables on the way are made if
 * they are missing, with all rights, so that the leaf alone decides. */
u64* entry_of(u64* pml4, u64 va, int level);
/* Maps one page and invalidates it; returns its entry. */
u64* map(u64* pml4, u64 va, u64 pa, int level, u64 flags);
extern u64 boot_pml4[512], boot_pdpt[512], boot_pd[2048];
