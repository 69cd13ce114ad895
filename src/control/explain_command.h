// `eidolon explain`: boots a guest until a block at an address is translated, and prints the block: the
// guest's instructions beside the host code made of them.
#pragma once

#include "control/command_line.h"

namespace eidolon::control {

/// Returns the exit status of the program.
int explain_command(const ExplainRequest& request);

}  // namespace eidolon::control
