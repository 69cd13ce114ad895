#include "control/input_commands.h"

#include <algorithm>
#include <optional>

#include "backend/key_names.h"
#include "base/try.h"

namespace eidolon::control {

namespace {

using device::input::KeyEvent;
using device::input::PointerEvent;
using Json = nlohmann::json;

constexpr size_t kMostEvents = 4096;  // as many as a keyboard keeps for a guest that is slow

Result<std::vector<KeyEvent>> wanted_keys(const Json& request) {
  const auto text = request.find("text"), keys = request.find("keys");
  if (text != request.end() && text->is_string()) return backend::type_text(text->get<std::string>());
  if (keys == request.end() || !keys->is_array())
    return fail("\"keys\" takes a list of keys, or \"text\" a text to type");
  std::vector<KeyEvent> events;
  for (const Json& chord : *keys) {
    if (!chord.is_string() || chord.get<std::string>().empty())
      return fail("a key is a name, such as \"enter\"");
    for (const KeyEvent& event : EIDOLON_TRY(backend::parse_chord(chord.get<std::string>())))
      events.push_back(event);
  }
  return events;
}

/// A number that is there, within reason; zero where there is none.
Result<int32_t> number(const Json& request, const char* name) {
  const auto found = request.find(name);
  if (found == request.end()) return 0;
  if (!found->is_number()) return fail("\"{}\" takes a number", name);
  return static_cast<int32_t>(std::clamp(found->get<double>(), -100'000.0, 100'000.0));
}

Result<uint8_t> button(const Json& request, const char* name) {
  const auto found = request.find(name);
  if (found == request.end()) return uint8_t{0};
  struct Button {
    std::string_view name;
    uint8_t bit;
  };
  constexpr Button kButtons[] = {{"left", device::input::kLeftButton},
                                 {"right", device::input::kRightButton},
                                 {"middle", device::input::kMiddleButton},
                                 {"side", device::input::kSideButton},
                                 {"extra", device::input::kExtraButton}};
  for (const Button& one : kButtons)
    if (found->is_string() && found->get<std::string>() == one.name) return one.bit;
  return fail("\"{}\" takes a button: left, right, middle, side or extra", name);
}

}  // namespace

Result<Json> press_keys(const Json& request, const Commanded& on) {
  const std::vector<KeyEvent> events = EIDOLON_TRY(wanted_keys(request));
  if (events.size() > kMostEvents)
    return fail("these are {} presses and releases, and the keyboard holds {}; type less at a time",
                events.size(), kMostEvents);
  for (const KeyEvent& event : events) on.machine.input().key(event);
  return Json::object();
}

Result<Json> use_mouse(const Json& request, const Commanded& on) {
  PointerEvent event{.x = EIDOLON_TRY(number(request, "x")),
                     .y = EIDOLON_TRY(number(request, "y")),
                     .wheel = EIDOLON_TRY(number(request, "wheel"))};
  const auto is_absolute = request.find("absolute");
  event.absolute = is_absolute != request.end() && is_absolute->is_boolean() && is_absolute->get<bool>();
  const uint8_t press = EIDOLON_TRY(button(request, "press")),
                release = EIDOLON_TRY(button(request, "release")),
                click = EIDOLON_TRY(button(request, "click"));
  if (event.absolute) {
    if (on.machine.vga() == nullptr)
      return fail("this machine has no screen to point at; move the mouse instead");
    const device::display::Mode screen = on.machine.vga()->mode();
    on.machine.input().set_screen_size(screen.width, screen.height);
    event.x = PointerEvent::from_pixel(event.x, screen.width);
    event.y = PointerEvent::from_pixel(event.y, screen.height);
  }
  device::input::Input& input = on.machine.input();
  const auto buttons = static_cast<uint8_t>((input.buttons() | press | click) & ~release);
  event.buttons = buttons;
  input.pointer(event);
  if (click != 0) {
    event.x = event.absolute ? event.x : 0;
    event.y = event.absolute ? event.y : 0;
    event.wheel = 0;
    event.buttons = static_cast<uint8_t>(buttons & ~click);
    input.pointer(event);
  }
  return Json::object();
}

}  // namespace eidolon::control
