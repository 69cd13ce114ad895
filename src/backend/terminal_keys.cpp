#include "backend/terminal_keys.h"

#include <linux/input-event-codes.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "backend/key_names.h"

namespace eidolon::backend {

namespace {

using device::input::KeyEvent;

constexpr char kEscape = '\x1b', kDelete = '\x7f';
constexpr size_t kLongestSequence = 32;

struct Modifiers {
  bool shift = false, alt = false, control = false;
};

void press(std::vector<KeyEvent>& events, uint16_t code, Modifiers with) {
  const std::array<std::pair<bool, uint16_t>, 3> held = {
      {{with.control, KEY_LEFTCTRL}, {with.alt, KEY_LEFTALT}, {with.shift, KEY_LEFTSHIFT}}};
  for (const auto& [down, key] : held)
    if (down) events.push_back({.code = key, .down = true});
  events.push_back({.code = code, .down = true});
  events.push_back({.code = code, .down = false});
  for (size_t i = held.size(); i-- > 0;)
    if (held[i].first) events.push_back({.code = held[i].second, .down = false});
}

/// A byte that is no part of a sequence.
void press_character(std::vector<KeyEvent>& events, char character, bool alt) {
  Modifiers with{.alt = alt};
  if (character == kDelete || character == '\b') return press(events, KEY_BACKSPACE, with);
  if (character == '\r') character = '\n';
  if (character != '\n' && character != '\t' && character != kEscape &&
      static_cast<uint8_t>(character) < 0x20) {
    with.control = true;
    // Ctrl-Space, Ctrl-A to Ctrl-Z, and those with Ctrl-\, Ctrl-], Ctrl-6 and Ctrl-minus.
    constexpr std::string_view kOthers = "\\]6-";
    if (character == 0) {
      character = ' ';
    } else {
      character = character <= 26 ? static_cast<char>(character - 1 + 'a')
                                  : kOthers[static_cast<size_t>(character - 0x1c)];
    }
  }
  const auto stroke = stroke_of(character);
  if (!stroke) return;
  with.shift = stroke->shift;
  press(events, stroke->code, with);
}

/// The final letter of a sequence, with CSI or SS3 before it.
std::optional<uint16_t> key_of_letter(char letter) {
  switch (letter) {
    case 'A':
      return KEY_UP;
    case 'B':
      return KEY_DOWN;
    case 'C':
      return KEY_RIGHT;
    case 'D':
      return KEY_LEFT;
    case 'E':
      return KEY_KP5;
    case 'F':
      return KEY_END;
    case 'H':
      return KEY_HOME;
    case 'M':
      return KEY_KPENTER;
    case 'P':
      return KEY_F1;
    case 'Q':
      return KEY_F2;
    case 'R':
      return KEY_F3;
    case 'S':
      return KEY_F4;
    default:
      return std::nullopt;
  }
}

/// The number before a '~'.
std::optional<uint16_t> key_of_number(unsigned number) {
  constexpr std::array<uint16_t, 35> kKeys = {
      0,      KEY_HOME, KEY_INSERT, KEY_DELETE, KEY_END, KEY_PAGEUP, KEY_PAGEDOWN, KEY_HOME, KEY_END,
      0,      0,        KEY_F1,     KEY_F2,     KEY_F3,  KEY_F4,     KEY_F5,       0,        KEY_F6,
      KEY_F7, KEY_F8,   KEY_F9,     KEY_F10,    0,       KEY_F11,    KEY_F12};
  if (number >= kKeys.size() || kKeys[number] == 0) return std::nullopt;
  return kKeys[number];
}

/// The second parameter is one more than a sum of 1 for Shift, 2 for Alt and 4 for Ctrl.
Modifiers modifiers_of(unsigned parameter) {
  const unsigned bits = parameter == 0 ? 0 : parameter - 1;
  return {.shift = (bits & 1) != 0, .alt = (bits & 2) != 0, .control = (bits & 4) != 0};
}

/// What comes behind CSI: parameters and a final byte. How many bytes it took; 0: it is not complete.
size_t take_csi(std::vector<KeyEvent>& events, std::string_view rest, bool alt) {
  if (rest.starts_with('[')) {  // Linux' console: F1 to F5
    if (rest.size() < 2) return 0;
    if (rest[1] >= 'A' && rest[1] <= 'E')
      press(events, static_cast<uint16_t>(KEY_F1 + (rest[1] - 'A')), {.alt = alt});
    return 2;
  }
  std::array<unsigned, 2> parameters{};
  size_t which = 0;
  for (size_t at = 0; at < rest.size(); ++at) {
    const char byte = rest[at];
    if (byte >= '0' && byte <= '9') {
      if (which < parameters.size())
        parameters[which] = (parameters[which] * 10 + static_cast<unsigned>(byte - '0')) % 1000;
    } else if (byte == ';') {
      ++which;
    } else if (byte >= 0x40 && byte < 0x7f) {
      Modifiers with = modifiers_of(parameters[1]);
      with.alt = with.alt || alt;
      if (byte == 'Z') {
        press(events, KEY_TAB, {.shift = true, .alt = with.alt});
      } else if (const auto key = byte == '~' ? key_of_number(parameters[0]) : key_of_letter(byte)) {
        press(events, *key, with);
      }
      return at + 1;
    }
  }
  return 0;
}

/// Bytes of a character in UTF-8 that begins with `first`; such a character has no key.
size_t utf8_length(uint8_t first) { return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1; }

}  // namespace

/// The next key of waiting_; false if it is not complete.
bool TerminalKeys::take(std::vector<KeyEvent>& events) {
  const std::string_view all = waiting_;
  const size_t escapes = all.starts_with("\x1b\x1b") && all.size() > 2 ? 2 : all.starts_with(kEscape) ? 1 : 0;
  const bool alt = escapes == 2;
  size_t used = 1;
  if (escapes == 0) {
    used = std::min(utf8_length(static_cast<uint8_t>(all.front())), all.size());
    if (used == 1) press_character(events, all.front(), false);
  } else if (all.size() == escapes || all[escapes] == kEscape) {
    press(events, KEY_ESC, {});
  } else if (all[escapes] == '[' || all[escapes] == 'O') {
    const std::string_view rest = all.substr(escapes + 1);
    if (rest.empty()) {  // nothing follows: Alt with that character
      press_character(events, all[escapes], true);
      used = all.size();
    } else if (all[escapes] == '[') {
      const size_t taken = take_csi(events, rest, alt);
      if (taken == 0) return all.size() > kLongestSequence ? (waiting_.clear(), true) : false;
      used = escapes + 1 + taken;
    } else {
      if (const auto key = key_of_letter(rest.front())) press(events, *key, {.alt = alt});
      used = escapes + 2;
    }
  } else {
    press_character(events, all[1], true);
    used = 2;
  }
  waiting_.erase(0, used);
  return true;
}

std::vector<KeyEvent> TerminalKeys::feed(std::span<const uint8_t> bytes) {
  waiting_.append(bytes.begin(), bytes.end());
  std::vector<KeyEvent> events;
  while (!waiting_.empty() && take(events)) {
  }
  return events;
}

}  // namespace eidolon::backend
