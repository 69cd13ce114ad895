// Draws a mode's picture from registers and memory. One function for each kind of mode; pure, so that they
// can be tested without a machine.
#pragma once

#include <cstdint>
#include <span>

#include "device/display/mode.h"
#include "device/display/registers.h"
#include "device/display/surface.h"

namespace eidolon::device::display {

/// What blinks, as it is at one moment.
struct Blink {
  bool cursor = true;      ///< the cursor is seen
  bool characters = true;  ///< blinking characters are seen
  bool operator==(const Blink&) const = default;
};
[[nodiscard]] Blink blink_at(int64_t nanoseconds);

/// Any mode but kPacked. `memory` is a power of two and at least kLegacyBytes; the surface has the mode's
/// size.
void draw_legacy(const Registers& registers, const Mode& mode, Blink blink, std::span<const uint8_t> memory,
                 Surface& surface);
/// One line of kPacked; `source` holds its bytes.
void draw_packed_line(const Registers& registers, const Mode& mode, std::span<const uint8_t> source,
                      std::span<uint32_t> line);

}  // namespace eidolon::device::display
