// What `eidolon explain` is asked to do.
#pragma once

#include <optional>
#include <string>

#include "machine/machine_config.h"

namespace eidolon::control {

struct ExplainRequest {
  machine::MachineConfig machine;
  std::string at;  ///< an address or a symbol
  std::optional<std::string> symbols;
  std::string after;  ///< what the guest has to write to its serial port first; empty: nothing
  unsigned timeout_seconds = 60;
};

}  // namespace eidolon::control
