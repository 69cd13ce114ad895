// `eidolon run`: a machine from its first instruction to its end, with its user at the console.
#pragma once

#include "control/command_line.h"

namespace eidolon::control {

/// Returns the exit status of the program (control/exit_status.h).
int run_command(const RunRequest& request);

}  // namespace eidolon::control
