// Base 64 (RFC 4648, section 4), for files in JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace eidolon::control {

[[nodiscard]] std::string to_base64(std::span<const uint8_t> bytes);
/// Nothing if it is not Base 64.
[[nodiscard]] std::optional<std::vector<uint8_t>> from_base64(std::string_view text);

}  // namespace eidolon::control
