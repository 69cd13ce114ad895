#include "device/display/text_picture.h"

#include <algorithm>

namespace eidolon::device::display {

namespace {

TextCell cell_of(uint8_t character, uint8_t attributes, bool blinking) {
  return {.character = character,
          .foreground = static_cast<uint8_t>(attributes & 0x0f),
          .background = static_cast<uint8_t>(attributes >> 4 & (blinking ? 0x07 : 0x0f)),
          .blinks = blinking && (attributes & 0x80) != 0};
}

}  // namespace

std::optional<TextPicture> text_picture(const Capture& capture) {
  const Registers& r = capture.registers;
  const Mode& mode = capture.mode;
  if (mode.kind != ModeKind::kText) return std::nullopt;
  const uint32_t lines = mode.rows * (mode.double_scan ? 2 : 1);
  const bool blinking = (r.attribute[attribute::kMode] & attribute::kBlink) != 0;
  const bool cursor_on = (r.crtc[crtc::kCursorStart] & crtc::kCursorOff) == 0 &&
                         (r.crtc[crtc::kCursorStart] & 0x1fu) <= (r.crtc[crtc::kCursorEnd] & 0x1fu);
  const uint32_t cursor_at = r.crtc[crtc::kCursorHigh] << 8u | r.crtc[crtc::kCursorLow];

  TextPicture picture{
      .columns = mode.columns, .rows = std::max(mode.height / lines, 1u), .cells = {}, .cursor = {}};
  picture.cells.reserve(size_t{picture.columns} * picture.rows);
  uint32_t start = mode.start;
  for (uint32_t row = 0; row < picture.rows; ++row, start += mode.pitch) {
    if (row > 0 && row * lines > mode.split && (row - 1) * lines <= mode.split) start = 0;
    for (uint32_t column = 0; column < picture.columns; ++column) {
      const uint32_t count = start + column;
      const size_t at = size_t{fetch_index(r, mode, count, 0)} * 4;
      if (at + 1 >= capture.memory.size()) return std::nullopt;  // not with a capture of the adapter's
      picture.cells.push_back(cell_of(capture.memory[at], capture.memory[at + 1], blinking));
      if (cursor_on && (count & 0xffff) == cursor_at) picture.cursor = {column, row};
    }
  }
  return picture;
}

}  // namespace eidolon::device::display
