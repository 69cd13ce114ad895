/* Times applets of busybox in the current directory, which is left with the files "text" and "output". */
#pragma once

#include <stdint.h>

void run_applets(const char* busybox, const char** measured, void (*report)(uint64_t count, uint64_t sum));
