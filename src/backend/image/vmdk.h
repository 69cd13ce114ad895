// VMware's disk images, to read: in one file or in several, flat, sparse, and compressed as a stream.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backend/image/file.h"
#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

/// Opens the file of an extent, as the descriptor names it.
using VmdkFiles = std::function<Result<std::unique_ptr<File>>(const std::string& name)>;

Result<std::unique_ptr<device::storage::Medium>> open_vmdk(std::unique_ptr<File> file,
                                                           const std::string& name, const VmdkFiles& files);

}  // namespace eidolon::backend::image
