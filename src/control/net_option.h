// The values of --net: for each card a kind of network and, behind commas, what the card is.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::control {

/// In the order of `texts`. `identity` is what the machine has to itself, its name or its disk: where cards
/// of several machines meet, theirs follow from it, so that they are the same at each start; empty: at
/// random.
[[nodiscard]] Result<std::vector<machine::NetworkConfig>> parse_networks(std::span<const std::string> texts,
                                                                         const std::string& identity);

}  // namespace eidolon::control
