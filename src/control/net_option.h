// The value of --net: a kind of network and, behind commas, what card leads to it.
#pragma once

#include <string_view>

#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::control {

[[nodiscard]] Result<machine::NetworkConfig> parse_network(std::string_view text);

}  // namespace eidolon::control
