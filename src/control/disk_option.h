// The values of --disk, --cdrom and --floppy: a file's name and, behind commas, what is to be done with it.
#pragma once

#include <string_view>

#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::control {

[[nodiscard]] Result<machine::DiskConfig> parse_disk(std::string_view text);
[[nodiscard]] Result<machine::DiskConfig> parse_cdrom(std::string_view text);
[[nodiscard]] Result<machine::DiskConfig> parse_floppy(std::string_view text);

}  // namespace eidolon::control
