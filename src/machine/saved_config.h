// A machine's configuration in a snapshot, as JSON: what it takes to make the machine again, on this host or
// another. What is the process's and not the machine's is not in it: engine, display, where the serial port
// goes.
#pragma once

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::machine {

/// Files by their full names, for a snapshot may be restored from another folder.
[[nodiscard]] nlohmann::json to_json(const MachineConfig& config);
/// `json` may be anything.
[[nodiscard]] Result<MachineConfig> config_from_json(const nlohmann::json& json);

}  // namespace eidolon::machine
