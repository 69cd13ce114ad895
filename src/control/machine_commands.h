// The commands of the control socket, each a function from its arguments and a machine to a result.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "machine/machine.h"

namespace eidolon::control {

struct Commanded {
  const std::string& name;
  machine::Machine& machine;
};

/// `request` is an object, and that is all that is known of it. The result is one too.
[[nodiscard]] Result<nlohmann::json> carry_out_command(const std::string& command,
                                                       const nlohmann::json& request, const Commanded& on);

}  // namespace eidolon::control
