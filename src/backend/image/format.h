// The formats of disk images, by name and by what their files begin with.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

namespace eidolon::backend::image {

enum class Format : uint8_t { kUnknown, kRaw, kQcow2, kVmdk, kVhdx, kVdi, kNbd };

[[nodiscard]] std::string_view format_name(Format format);
Result<Format> parse_format(std::string_view name);
/// By the first 512 bytes; kRaw if they are of no other format.
[[nodiscard]] Format probe(std::span<const uint8_t> sector);

}  // namespace eidolon::backend::image
