#include "device/virtio/input_tablet.h"

#include <algorithm>

namespace eidolon::device::virtio {

namespace {

using input::PointerEvent;

constexpr uint16_t kX = 0, kY = 1, kWheel = 8;
constexpr uint16_t kFirstButton = 0x110;  ///< left, right, middle, side, extra, as PointerEvent has them
constexpr uint16_t kButtons = 5;
constexpr uint8_t kKnownButtons = (1u << kButtons) - 1;
constexpr int32_t kMostNotches = 1 << 16;

}  // namespace

InputTablet::InputTablet(std::string name)
    : Input(
          {.name = std::move(name),
           .product = "Virtio tablet",
           .number = 2,
           .class_code = 0x098000,
           .codes = {{kInputKey,
                      {kFirstButton, kFirstButton + 1, kFirstButton + 2, kFirstButton + 3, kFirstButton + 4}},
                     {kInputRelative, {kWheel}},
                     {kInputAbsolute, {kX, kY}}},
           .range = PointerEvent::kRange}) {}

void InputTablet::pointer(const PointerEvent& event) {
  const Lock held = lock();
  if (!event.absolute || !running()) return;
  now_ = {.x = std::clamp(event.x, 0, PointerEvent::kRange),
          .y = std::clamp(event.y, 0, PointerEvent::kRange),
          .buttons = static_cast<uint8_t>(event.buttons & kKnownButtons)};
  wheel_ =
      std::clamp(wheel_ + std::clamp(event.wheel, -kMostNotches, kMostNotches), -kMostNotches, kMostNotches);
  update();
}

/// Movements and notches that the guest has not looked at become one; a change of buttons is kept where it
/// happened.
void InputTablet::tell() {
  if (now_.buttons == told_.buttons && behind()) return;
  std::vector<InputEvent> events;
  if (now_.x != told_.x) events.push_back({kInputAbsolute, kX, static_cast<uint32_t>(now_.x)});
  if (now_.y != told_.y) events.push_back({kInputAbsolute, kY, static_cast<uint32_t>(now_.y)});
  for (uint16_t button = 0; button < kButtons; ++button) {
    const unsigned bit = 1u << button;
    if (((now_.buttons ^ told_.buttons) & bit) != 0)
      events.push_back({kInputKey, static_cast<uint16_t>(kFirstButton + button), (now_.buttons & bit) != 0});
  }
  if (wheel_ != 0) events.push_back({kInputRelative, kWheel, static_cast<uint32_t>(wheel_)});
  if (events.empty() || !add_events(events)) return;
  told_ = now_;
  wheel_ = 0;
}

void InputTablet::clear() {
  now_ = told_ = {};
  wheel_ = 0;
}

void InputTablet::save_input(StateWriter& to) const {
  to(now_.x, now_.y, now_.buttons, told_.x, told_.y, told_.buttons, wheel_);
}

void InputTablet::load_input(StateReader& from) {
  from(now_.x, now_.y, now_.buttons, told_.x, told_.y, told_.buttons, wheel_);
  const auto sound = [](const Place& place) {
    return place.x >= -1 && place.x <= PointerEvent::kRange && place.y >= -1 &&
           place.y <= PointerEvent::kRange && place.buttons <= kKnownButtons;
  };
  if (!sound(now_) || !sound(told_) || wheel_ < -kMostNotches || wheel_ > kMostNotches) from.fail();
}

}  // namespace eidolon::device::virtio
