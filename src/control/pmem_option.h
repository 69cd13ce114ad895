// The value of --pmem: a file's name and, behind a comma, that it is only read.
#pragma once

#include <string_view>

#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::control {

/// FILE[,readonly]
[[nodiscard]] Result<machine::PmemConfig> parse_pmem(std::string_view text);

}  // namespace eidolon::control
