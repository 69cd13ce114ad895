// What `eidolon image` is asked to do.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "backend/image/format.h"
#include "base/result.h"

namespace eidolon::control {

struct ImageRequest {
  enum class Action : uint8_t { kCreate, kInfo, kCheck, kConvert } action = Action::kInfo;
  std::string path;
  std::string target;  ///< kConvert
  /// Of the file that is made.
  backend::image::Format format = backend::image::Format::kQcow2;
  /// Of the file that is read; kUnknown: as it begins.
  backend::image::Format from = backend::image::Format::kUnknown;
  std::optional<uint64_t> size;
  std::string backing;
  backend::image::Format backing_format = backend::image::Format::kUnknown;
  bool repair = false;
  bool json = false;
};

/// "10G", "512M", "64K", or a number of bytes: whole sectors of 512.
[[nodiscard]] Result<uint64_t> parse_disk_size(std::string_view text);

}  // namespace eidolon::control
