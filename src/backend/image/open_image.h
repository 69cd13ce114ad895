// Opens a disk image of any format, with everything that it stands on.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backend/image/format.h"
#include "backend/image/host_file.h"
#include "base/result.h"
#include "device/storage/medium.h"

namespace eidolon::backend::image {

struct OpenOptions {
  /// What the user has said; kUnknown: nothing, so the file's first bytes decide.
  Format format = Format::kUnknown;
  bool read_only = false;
  /// Is told, from any thread, what the user should know of while the image is in use. May be empty.
  std::function<void(const std::string&)> say = {};
};

Result<std::unique_ptr<device::storage::Medium>> open_image(const std::string& path,
                                                            const OpenOptions& options);

/// By what the file begins with.
Result<Format> probe_file(HostFile& file);

/// What backing file `backing`, as image `image` names it, is to the host: relative to the image's folder.
[[nodiscard]] std::string backing_path(const std::string& image, const std::string& backing);

}  // namespace eidolon::backend::image
