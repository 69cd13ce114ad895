// What the monitor says of itself (VESA E-EDID 1.4, section 3): 1280x800 by preference, and what else usual
// software looks for. The display shows any size; the list is a menu.
#pragma once

#include <array>
#include <cstdint>

namespace eidolon::device::display {

inline constexpr unsigned kEdidBytes = 128;

/// A mode with its timing in dots and lines (section 3.10.2).
struct DetailedTiming {
  uint32_t clock_hz;
  uint16_t width, blank_width, sync_start_x, sync_width;
  uint16_t height, blank_height, sync_start_y, sync_height;
};
/// By VESA's CVT with reduced blanking.
inline constexpr DetailedTiming kPreferredTiming = {.clock_hz = 71'000'000,
                                                    .width = 1280,
                                                    .blank_width = 160,
                                                    .sync_start_x = 48,
                                                    .sync_width = 32,
                                                    .height = 800,
                                                    .blank_height = 23,
                                                    .sync_start_y = 3,
                                                    .sync_height = 6};

extern const std::array<uint8_t, kEdidBytes> kEdid;

}  // namespace eidolon::device::display
