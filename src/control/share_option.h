// --share: its text, and the folders while the program runs.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::control {

/// DIR[,tag=NAME][,ro] each.
[[nodiscard]] Result<std::vector<machine::ShareConfig>> parse_shares(const std::vector<std::string>& texts);

/// Opens the folders and puts what serves them into `shares`.
[[nodiscard]] Result<> open_shares(std::vector<machine::ShareConfig>& shares);

}  // namespace eidolon::control
