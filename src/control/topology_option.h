// --cpus: how many processors, and how they sit in sockets, cores and threads.
#pragma once

#include <string_view>

#include "base/result.h"
#include "x86/topology.h"

namespace eidolon::control {

/// "4", or any of "sockets=2,cores=4,threads=2", what is left out being 1; or both, if they agree.
[[nodiscard]] Result<x86::Topology> parse_topology(std::string_view text);

}  // namespace eidolon::control
