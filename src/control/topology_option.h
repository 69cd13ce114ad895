// --cpus: how many processors, how they sit in sockets, cores and threads, and how many are there at the
// start.
#pragma once

#include <string_view>

#include "base/result.h"
#include "x86/topology.h"

namespace eidolon::control {

struct ProcessorsOption {
  x86::Topology topology;
  unsigned present = 0;  ///< of them at the start; 0: all

  friend bool operator==(const ProcessorsOption&, const ProcessorsOption&) = default;
};

/// "4", or any of "sockets=2,cores=4,threads=2", what is left out being 1; or both, if they agree.
/// With "max=8", the number is what is there at the start, and the shape is that of 8.
[[nodiscard]] Result<ProcessorsOption> parse_processors(std::string_view text);

}  // namespace eidolon::control
