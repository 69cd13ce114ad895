// `eidolon switch`: a switch between machines, until it gets a signal.
#pragma once

#include "control/switch_request.h"

namespace eidolon::control {

/// Returns the exit status.
[[nodiscard]] int switch_command(const SwitchRequest& request);

}  // namespace eidolon::control
