#include "backend/key_names.h"

#include <linux/input-event-codes.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "base/try.h"

namespace eidolon::backend {

namespace {

using device::input::KeyEvent;

struct Name {
  std::string_view name;
  uint16_t code;
};

constexpr auto kNames = std::to_array<Name>({
    {"ctrl", KEY_LEFTCTRL},
    {"control", KEY_LEFTCTRL},
    {"rctrl", KEY_RIGHTCTRL},
    {"shift", KEY_LEFTSHIFT},
    {"rshift", KEY_RIGHTSHIFT},
    {"alt", KEY_LEFTALT},
    {"altgr", KEY_RIGHTALT},
    {"ralt", KEY_RIGHTALT},
    {"meta", KEY_LEFTMETA},
    {"super", KEY_LEFTMETA},
    {"win", KEY_LEFTMETA},
    {"rmeta", KEY_RIGHTMETA},
    {"menu", KEY_COMPOSE},
    {"enter", KEY_ENTER},
    {"return", KEY_ENTER},
    {"ret", KEY_ENTER},
    {"esc", KEY_ESC},
    {"escape", KEY_ESC},
    {"tab", KEY_TAB},
    {"space", KEY_SPACE},
    {"backspace", KEY_BACKSPACE},
    {"delete", KEY_DELETE},
    {"del", KEY_DELETE},
    {"insert", KEY_INSERT},
    {"ins", KEY_INSERT},
    {"home", KEY_HOME},
    {"end", KEY_END},
    {"pageup", KEY_PAGEUP},
    {"pgup", KEY_PAGEUP},
    {"pagedown", KEY_PAGEDOWN},
    {"pgdn", KEY_PAGEDOWN},
    {"up", KEY_UP},
    {"down", KEY_DOWN},
    {"left", KEY_LEFT},
    {"right", KEY_RIGHT},
    {"capslock", KEY_CAPSLOCK},
    {"numlock", KEY_NUMLOCK},
    {"scrolllock", KEY_SCROLLLOCK},
    {"print", KEY_SYSRQ},
    {"sysrq", KEY_SYSRQ},
    {"pause", KEY_PAUSE},
    {"minus", KEY_MINUS},
    {"plus", KEY_KPPLUS},
    {"equal", KEY_EQUAL},
    {"comma", KEY_COMMA},
    {"dot", KEY_DOT},
    {"slash", KEY_SLASH},
    {"backslash", KEY_BACKSLASH},
    {"semicolon", KEY_SEMICOLON},
    {"apostrophe", KEY_APOSTROPHE},
    {"grave", KEY_GRAVE},
    {"bracketleft", KEY_LEFTBRACE},
    {"bracketright", KEY_RIGHTBRACE},
    {"less", KEY_102ND},
    {"kp0", KEY_KP0},
    {"kp1", KEY_KP1},
    {"kp2", KEY_KP2},
    {"kp3", KEY_KP3},
    {"kp4", KEY_KP4},
    {"kp5", KEY_KP5},
    {"kp6", KEY_KP6},
    {"kp7", KEY_KP7},
    {"kp8", KEY_KP8},
    {"kp9", KEY_KP9},
    {"kpdot", KEY_KPDOT},
    {"kpenter", KEY_KPENTER},
    {"kpplus", KEY_KPPLUS},
    {"kpminus", KEY_KPMINUS},
    {"kpasterisk", KEY_KPASTERISK},
    {"kpslash", KEY_KPSLASH},
    {"f1", KEY_F1},
    {"f2", KEY_F2},
    {"f3", KEY_F3},
    {"f4", KEY_F4},
    {"f5", KEY_F5},
    {"f6", KEY_F6},
    {"f7", KEY_F7},
    {"f8", KEY_F8},
    {"f9", KEY_F9},
    {"f10", KEY_F10},
    {"f11", KEY_F11},
    {"f12", KEY_F12},
});

/// The printed rows of a US keyboard, without and with Shift.
struct Row {
  std::string_view plain, shifted;
  std::array<uint16_t, 13> codes;
};
constexpr auto kRows = std::to_array<Row>({
    {"`1234567890-=",
     "~!@#$%^&*()_+",
     {KEY_GRAVE, KEY_1, KEY_2, KEY_3, KEY_4, KEY_5, KEY_6, KEY_7, KEY_8, KEY_9, KEY_0, KEY_MINUS, KEY_EQUAL}},
    {"qwertyuiop[]\\",
     "QWERTYUIOP{}|",
     {KEY_Q, KEY_W, KEY_E, KEY_R, KEY_T, KEY_Y, KEY_U, KEY_I, KEY_O, KEY_P, KEY_LEFTBRACE, KEY_RIGHTBRACE,
      KEY_BACKSLASH}},
    {"asdfghjkl;'",
     "ASDFGHJKL:\"",
     {KEY_A, KEY_S, KEY_D, KEY_F, KEY_G, KEY_H, KEY_J, KEY_K, KEY_L, KEY_SEMICOLON, KEY_APOSTROPHE}},
    {"zxcvbnm,./",
     "ZXCVBNM<>?",
     {KEY_Z, KEY_X, KEY_C, KEY_V, KEY_B, KEY_N, KEY_M, KEY_COMMA, KEY_DOT, KEY_SLASH}},
    {" \n\t\b\x1b", "", {KEY_SPACE, KEY_ENTER, KEY_TAB, KEY_BACKSPACE, KEY_ESC}},
});

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

Result<uint16_t> key_code(std::string_view word) {
  const std::string name = lower(word);
  const auto* found = std::ranges::find(kNames, name, &Name::name);
  if (found != kNames.end()) return found->code;
  if (name.size() == 1) {
    if (const auto found_stroke = stroke_of(name.front()); found_stroke && !found_stroke->shift)
      return found_stroke->code;
  }
  return fail("there is no key '{}'; keys are named as in ctrl-alt-delete, f1, enter, a", word);
}

}  // namespace

std::optional<Stroke> stroke_of(char character) {
  for (const Row& row : kRows) {
    if (const size_t at = row.plain.find(character); at != row.plain.npos)
      return Stroke{row.codes[at], false};
    if (const size_t at = row.shifted.find(character); at != row.shifted.npos)
      return Stroke{row.codes[at], true};
  }
  return std::nullopt;
}

Result<std::vector<KeyEvent>> parse_chord(std::string_view text) {
  constexpr size_t kMostKeys = 8;
  std::vector<KeyEvent> events;
  for (std::string_view rest = text;;) {
    // A separator that is the first of what is left is itself a key: "ctrl--".
    const size_t end = rest.find_first_of("-+", 1);
    events.push_back({.code = EIDOLON_TRY(key_code(rest.substr(0, end))), .down = true});
    if (end == rest.npos) break;
    rest.remove_prefix(end + 1);
  }
  if (events.size() > kMostKeys) return fail("'{}' presses more than {} keys at once", text, kMostKeys);
  for (size_t i = events.size(); i-- > 0;) events.push_back({.code = events[i].code, .down = false});
  return events;
}

std::optional<uint16_t> key_of_character(char character) {
  const auto found = stroke_of(character);
  return found ? std::optional(found->code) : std::nullopt;
}

Result<std::vector<KeyEvent>> type_text(std::string_view text) {
  std::vector<KeyEvent> events;
  for (const char character : text) {
    const auto one = stroke_of(character == '\r' ? '\n' : character);
    if (!one)
      return fail("a US keyboard cannot type the character {:#04x} of the text; leave it out",
                  static_cast<unsigned char>(character));
    if (one->shift) events.push_back({.code = KEY_LEFTSHIFT, .down = true});
    events.push_back({.code = one->code, .down = true});
    events.push_back({.code = one->code, .down = false});
    if (one->shift) events.push_back({.code = KEY_LEFTSHIFT, .down = false});
  }
  return events;
}

}  // namespace eidolon::backend
