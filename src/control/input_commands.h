// The commands of the control socket that press keys and move the mouse.
#pragma once

#include "control/machine_commands.h"

namespace eidolon::control {

/// {"keys": ["ctrl-c", ...]} or {"text": "..."}: not both.
[[nodiscard]] Result<nlohmann::json> press_keys(const nlohmann::json& request, const Commanded& on);
/// Any of {"x", "y": movement in counts}, {"absolute": true, "x", "y": in pixels of the screen}, {"wheel":
/// notches away from the user}, {"press", "release", "click": "left"}.
[[nodiscard]] Result<nlohmann::json> use_mouse(const nlohmann::json& request, const Commanded& on);

}  // namespace eidolon::control
