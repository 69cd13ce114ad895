/* What the 16-bit and the 32-bit half of the monitor share. */
#pragma once
#include "cpu.h"

struct Statistics {
  u32 cli, sti, software, iret, hardware, page_faults, trapped_out, unexpected;
};
extern struct Statistics statistics;

/* From real mode into the monitor, which runs task() as a virtual-8086 task; returns when that says INT F0h.
 */
void enter_monitor(void);
void task(void);

/* A page that the monitor maps only when it is touched, and a port that it traps. */
#define ABSENT 0x30000
#define TRAPPED_PORT 0x80
