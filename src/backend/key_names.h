// Keys as people write them: "ctrl-alt-delete", and text as it is typed on a US keyboard.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "device/input/events.h"

namespace eidolon::backend {

/// Keys that are pressed together, first to last, joined by '-' or '+': "ctrl-alt-f2", "a", "minus". Pressed
/// in that order, and let go in the other.
[[nodiscard]] Result<std::vector<device::input::KeyEvent>> parse_chord(std::string_view text);

/// What a US keyboard sends for a text of ASCII; '\n' is the Enter key. The error names a character that it
/// lacks.
[[nodiscard]] Result<std::vector<device::input::KeyEvent>> type_text(std::string_view text);

struct Stroke {
  uint16_t code;
  bool shift;
};
/// How a US keyboard types a character; '\n', '\t', '\b' and ESC are the keys of that name.
[[nodiscard]] std::optional<Stroke> stroke_of(char character);

/// The key that has a character, with Shift or without.
[[nodiscard]] std::optional<uint16_t> key_of_character(char character);

}  // namespace eidolon::backend
