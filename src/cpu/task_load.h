// The second half of a task switch, in the context of the new task: its LDT and segments (SDM volume 3, 7.3,
// steps 11 to 15 and table 7-1).
#pragma once

#include "cpu/task_segment.h"

namespace eidolon::cpu {

/// Loads LDTR and the segment registers of `image`. Registers and flags are already the new task's. Every
/// segment that is not loaded because of a fault stays unusable, with its selector visible.
[[nodiscard]] Outcome<> load_task_segments(Cpu& cpu, const TaskImage& image);

}  // namespace eidolon::cpu
