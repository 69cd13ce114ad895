// The modes that the CRTC's registers make: it counts characters along a line, goes back to the start of the
// row for each scan line of the characters, and starts at zero again behind the split line.
#include <algorithm>
#include <array>
#include <vector>

#include "device/display/draw.h"
#include "device/display/draw_text.h"
#include "device/display/window.h"

namespace eidolon::device::display {

namespace {

using Colours = std::array<uint32_t, 16>;

Colours attribute_colours(const Registers& r) {
  Colours colours;
  for (unsigned i = 0; i < 16; ++i) colours[i] = attribute_colour(r, static_cast<uint8_t>(i));
  return colours;
}

/// Eight dots, a bit of each plane.
void draw_planes(const uint8_t* planes, const Colours& colours, uint32_t* to) {
  for (unsigned dot = 0; dot < 8; ++dot) {
    const unsigned shift = 7 - dot;
    const unsigned colour = (planes[0] >> shift & 1) | (planes[1] >> shift & 1) << 1 |
                            (planes[2] >> shift & 1) << 2 | (planes[3] >> shift & 1) << 3;
    to[dot] = colours[colour];
  }
}

/// Eight dots of two bits (and two more of planes 2 and 3): four of the even planes, then four of the odd
/// ones.
void draw_interleaved(const uint8_t* planes, const Colours& colours, uint32_t* to) {
  for (unsigned dot = 0; dot < 8; ++dot) {
    const unsigned plane = dot / 4, shift = 6 - dot % 4 * 2;
    const unsigned colour = (planes[plane] >> shift & 3) | (planes[plane + 2] >> shift & 3) << 2;
    to[dot] = colours[colour];
  }
}

/// One line's characters, from `count` on, one more than are shown so that panning finds its dots.
void draw_line(const Registers& r, const Mode& mode, std::span<const uint8_t> memory, const TextPainter& text,
               const Colours& colours, uint32_t count, uint32_t row, std::vector<uint32_t>& dots) {
  for (uint32_t column = 0; column <= mode.columns; ++column) {
    const uint8_t* planes = memory.data() + size_t{fetch_index(r, mode, count + column, row)} * 4;
    uint32_t* to = dots.data() + size_t{column} * mode.dots;
    switch (mode.kind) {
      case ModeKind::kText:
        text.draw(planes, count + column, row, to);
        break;
      case ModeKind::kInterleaved:
        draw_interleaved(planes, colours, to);
        break;
      case ModeKind::kBytes:  // a dot takes two of the clock's
        for (unsigned i = 0; i < 8; ++i) to[i] = dac_colour(r, planes[i / 2]);
        break;
      default:
        draw_planes(planes, colours, to);
        break;
    }
  }
}

void copy_shown(const Mode& mode, uint32_t panning, const std::vector<uint32_t>& dots,
                std::span<uint32_t> line) {
  for (size_t x = 0; x < line.size(); ++x) line[x] = dots[x / mode.repeat + panning];
}

}  // namespace

Blink blink_at(int64_t nanoseconds) {
  constexpr int64_t kFrame = 1'000'000'000 / 70;
  const int64_t frame = nanoseconds / kFrame;
  return {.cursor = (frame / 8 & 1) == 0, .characters = (frame / 16 & 1) == 0};
}

void draw_legacy(const Registers& r, const Mode& mode, Blink blink, std::span<const uint8_t> memory,
                 Surface& surface) {
  if (mode.kind == ModeKind::kBlank) {
    std::ranges::fill(surface.pixels, 0);
    return;
  }
  const Colours colours = attribute_colours(r);
  const TextPainter text(r, mode, blink, memory, colours);
  std::vector<uint32_t> dots(size_t{mode.columns + 1} * mode.dots);
  uint32_t count = mode.start, row = mode.first_row, panning = mode.panning;
  bool second = false;  // of a line that is shown twice
  for (uint32_t y = 0; y < mode.height; ++y) {
    if (y == mode.split + 1) {
      count = row = 0;
      second = false;
      if (mode.split_resets_panning) panning = 0;
    }
    draw_line(r, mode, memory, text, colours, count, row, dots);
    // In 256 colours a dot of panning is two of the clock's.
    copy_shown(mode, mode.kind == ModeKind::kBytes ? panning * 2 : panning, dots, surface.line(y));
    if (mode.double_scan) second = !second;
    if (second) continue;
    if (row == mode.rows - 1) {
      row = 0;
      count += mode.pitch;
    } else {
      row = (row + 1) & 0x1f;
    }
  }
}

}  // namespace eidolon::device::display
