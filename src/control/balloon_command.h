// The command of the control socket about the guest's memory.
#pragma once

#include "control/machine_commands.h"

namespace eidolon::control {

/// With "memory", bytes that the guest is asked to keep; without, how much it keeps and what it says of it.
[[nodiscard]] Result<nlohmann::json> balloon(const nlohmann::json& request, const Commanded& on);

}  // namespace eidolon::control
