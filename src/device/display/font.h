// The 8x16 font of the text mode that a machine without firmware starts in, in the order of code page 437.
#pragma once

#include <array>
#include <cstdint>

namespace eidolon::device::display {

inline constexpr unsigned kGlyphs = 256;
inline constexpr unsigned kGlyphRows = 16;

/// Row by row, the leftmost dot in bit 7.
extern const std::array<uint8_t, kGlyphs * kGlyphRows> kFont8x16;

}  // namespace eidolon::device::display
