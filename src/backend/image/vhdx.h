// Hyper-V's disk images, to read: fixed and dynamic ones ([MS-VHDX]). One whose log has to be replayed first
// is refused, and so is one that stands on another.
#pragma once

#include <memory>
#include <string>

#include "backend/image/file.h"
#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

Result<std::unique_ptr<device::storage::Medium>> open_vhdx(std::unique_ptr<File> file,
                                                           const std::string& name);

}  // namespace eidolon::backend::image
