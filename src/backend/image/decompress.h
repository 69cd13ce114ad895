// Compressed clusters of images, by zlib and libzstd.
#pragma once

#include <cstdint>
#include <span>

namespace eidolon::backend::image {

enum class Shorter : uint8_t { kRefused, kPadded };  ///< what comes of less than was asked for

// False unless `from` gives at least into.size() bytes; what follows in `from` does not matter.
[[nodiscard]] bool inflate_raw(std::span<const uint8_t> from, std::span<uint8_t> into);  ///< RFC 1951
[[nodiscard]] bool inflate_zlib(std::span<const uint8_t> from, std::span<uint8_t> into,
                                Shorter shorter = Shorter::kRefused);                        ///< RFC 1950
[[nodiscard]] bool decompress_zstd(std::span<const uint8_t> from, std::span<uint8_t> into);  ///< RFC 8878

}  // namespace eidolon::backend::image
