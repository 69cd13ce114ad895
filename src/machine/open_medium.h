// The medium of a disk that the user asked for.
#pragma once

#include <memory>

#include "base/result.h"
#include "device/storage/medium.h"
#include "machine/machine_config.h"

namespace eidolon::machine {

Result<std::unique_ptr<device::storage::Medium>> open_medium(const DiskConfig& disk);

}  // namespace eidolon::machine
