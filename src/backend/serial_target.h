// What `--serial` names: the terminal, a file, or nothing.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace eidolon::backend {

struct SerialTarget {
  enum class Kind : uint8_t { kStdio, kFile, kNull } kind = Kind::kStdio;
  std::string path;  ///< of a file
};

/// "stdio", "file:PATH" or "null".
[[nodiscard]] Result<SerialTarget> parse_serial_target(std::string_view text);

}  // namespace eidolon::backend
