// VirtualBox's disk images, to read: dynamic and fixed ones (VBox, src/VBox/Storage/VDICore.h).
#pragma once

#include <memory>
#include <string>

#include "backend/image/file.h"
#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

Result<std::unique_ptr<device::storage::Medium>> open_vdi(std::unique_ptr<File> file,
                                                          const std::string& name);

}  // namespace eidolon::backend::image
