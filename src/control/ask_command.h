// Sends a command to a running machine and shows the answer.
#pragma once

#include "control/ask_request.h"

namespace eidolon::control {

/// Returns the exit status.
[[nodiscard]] int ask_command(const AskRequest& request);

}  // namespace eidolon::control
