// What the registers say is to be shown: a mode, worked out of the CRTC's and the controllers' registers or
// the Bochs interface's.
#pragma once

#include <cstdint>

#include "device/display/registers.h"

namespace eidolon::device::display {

enum class ModeKind : uint8_t {
  kBlank,
  kText,
  kPlanar,       ///< 16 colours, a bit of each of four planes
  kInterleaved,  ///< 4 colours as the CGA had them
  kBytes,        ///< 256 colours by VGA registers: chain-4 and "mode X"
  kPacked,       ///< the Bochs interface: 8 to 32 bits a dot, line after line
};

struct Mode {
  ModeKind kind = ModeKind::kBlank;
  uint32_t width = 0;  ///< of the picture, in dots
  uint32_t height = 0;

  // Of all but kPacked. The CRTC counts characters of eight (or nine) dots.
  uint32_t columns = 0;
  uint32_t dots = 8;         ///< a character is wide
  uint32_t repeat = 1;       ///< how often each dot is shown: twice at half the dot clock
  uint32_t rows = 1;         ///< scan lines of a character
  bool double_scan = false;  ///< each of them twice
  uint32_t start = 0;        ///< the counter at the top left
  uint32_t pitch = 0;        ///< what it grows by from one row of characters to the next
  uint32_t first_row = 0;    ///< the scan line of the first character at the top
  uint32_t panning = 0;      ///< dots that are shifted out to the left
  uint32_t split = ~0u;      ///< behind this line the counter starts again at zero
  bool split_resets_panning = false;
  uint32_t counter_mask = 0xffff;

  // Of kPacked, in bytes.
  uint32_t bits = 0;
  uint32_t start_byte = 0;
  uint32_t pitch_bytes = 0;

  bool operator==(const Mode&) const = default;
};

[[nodiscard]] Mode mode_of(const Registers& registers, uint32_t memory_bytes);

/// The index of the four planes' bytes that the CRTC fetches at a count, on scan line `row` of a character.
[[nodiscard]] uint32_t fetch_index(const Registers& registers, const Mode& mode, uint32_t count,
                                   uint32_t row);

/// A colour of the DAC.
[[nodiscard]] uint32_t dac_colour(const Registers& registers, uint8_t index);
/// A colour of the attribute controller's 16.
[[nodiscard]] uint32_t attribute_colour(const Registers& registers, uint8_t colour);

}  // namespace eidolon::device::display
