/* A triple fault resets the machine (SDM volume 3, 6.15, interrupt 8): nothing after it may be printed. */
#include "runtime.h"

const char program_name[] = "triple";

void program(void) {
  check("about-to-fault", true);
  load_idt(0);
  asm volatile("ud2");
  check("still-here", false);
}
