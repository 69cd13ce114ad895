// Reading a file that the user named.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace eidolon::boot {

/// The whole file (a pipe works too). `what` names it in errors ("kernel"); fails beyond `limit` bytes.
[[nodiscard]] Result<std::vector<uint8_t>> read_file(const std::string& path, std::string_view what,
                                                     uint64_t limit);

}  // namespace eidolon::boot
