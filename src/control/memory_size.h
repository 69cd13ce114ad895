// How users write amounts of memory.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace eidolon::control {

inline constexpr uint64_t kMinimumMemory = uint64_t{2} << 20;

/// `option` is what the user wrote it for. "512M", "2G", or a plain number of MiB. Bytes, a multiple of 1
/// MiB, at least kMinimumMemory and less than what a processor can address.
[[nodiscard]] Result<uint64_t> parse_memory_size(std::string_view text, std::string_view option = "--memory");

}  // namespace eidolon::control
