#include "device/input/input.h"

#include <algorithm>

namespace eidolon::device::input {

Keyboard* Input::keyboard() const {
  for (auto at = keyboards_.rbegin(); at != keyboards_.rend(); ++at)
    if ((*at)->keyboard_ready()) return *at;
  return keyboards_.empty() ? nullptr : keyboards_.front();
}

/// Whoever takes the kind of event is preferred; of the others, any that is ready will do.
Pointer* Input::pointer_for(bool absolute) const {
  Pointer* other = nullptr;
  for (auto at = pointers_.rbegin(); at != pointers_.rend(); ++at) {
    if (!(*at)->pointer_ready()) continue;
    if ((*at)->takes_absolute() == absolute) return *at;
    if (other == nullptr && !(*at)->takes_absolute()) other = *at;
  }
  return other;
}

void Input::remove_all() {
  std::lock_guard lock(mutex_);
  keyboards_.clear();
  pointers_.clear();
}

void Input::key(const KeyEvent& event) {
  std::lock_guard lock(mutex_);
  if (event.down) {
    pressed_.insert(event.code);
  } else {
    pressed_.erase(event.code);
  }
  if (Keyboard* to = keyboard()) to->key(event);
}

uint8_t Input::buttons() {
  std::lock_guard lock(mutex_);
  return buttons_;
}

void Input::release_all() {
  std::lock_guard lock(mutex_);
  Keyboard* to = keyboard();
  for (const uint16_t code : pressed_)
    if (to != nullptr) to->key({.code = code, .down = false});
  pressed_.clear();
}

void Input::set_screen_size(uint32_t width, uint32_t height) {
  constexpr uint32_t kMost = 1u << 14;
  std::lock_guard lock(mutex_);
  width_ = static_cast<int32_t>(std::clamp(width, 1u, kMost));
  height_ = static_cast<int32_t>(std::clamp(height, 1u, kMost));
}

PointerEvent Input::relative(const PointerEvent& event) {
  PointerEvent result = event;
  result.absolute = false;
  const int32_t x = std::clamp(event.x, 0, PointerEvent::kRange) * (width_ - 1) / PointerEvent::kRange;
  const int32_t y = std::clamp(event.y, 0, PointerEvent::kRange) * (height_ - 1) / PointerEvent::kRange;
  result.x = has_position_ ? x - last_x_ : 0;
  result.y = has_position_ ? y - last_y_ : 0;
  has_position_ = true;
  last_x_ = x;
  last_y_ = y;
  return result;
}

void Input::pointer(const PointerEvent& event) {
  std::lock_guard lock(mutex_);
  buttons_ = event.buttons;
  Pointer* to = pointer_for(event.absolute);
  if (to == nullptr) return;
  to->pointer(event.absolute && !to->takes_absolute() ? relative(event) : event);
}

}  // namespace eidolon::device::input
