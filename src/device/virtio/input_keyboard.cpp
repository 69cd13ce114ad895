#include "device/virtio/input_keyboard.h"

#include <array>
#include <numeric>

namespace eidolon::device::virtio {

namespace {
constexpr uint16_t kFirstKey = 1;
constexpr unsigned kLights = 3;

std::vector<uint16_t> numbers(uint16_t first, size_t end) {
  std::vector<uint16_t> all(end - first);
  std::iota(all.begin(), all.end(), first);
  return all;
}
}  // namespace

InputKeyboard::InputKeyboard(std::string name)
    : Input({.name = std::move(name),
             .product = "Virtio keyboard",
             .number = 1,
             .class_code = 0x090000,
             .codes = {{kInputKey, numbers(kFirstKey, kKeys)},
                       {kInputLight, numbers(0, kLights)},
                       {kInputRepeat, {0, 1}}}}) {}

void InputKeyboard::key(const input::KeyEvent& event) {
  const Lock held = lock();
  if (event.code < kFirstKey || event.code >= kKeys || !running()) return;
  pressed_.set(event.code, event.down);
  update();
}

void InputKeyboard::tell() {
  const Keys changed = pressed_ ^ told_;
  for (uint16_t code = kFirstKey; code < kKeys && changed.any(); ++code) {
    if (!changed[code]) continue;
    const InputEvent event = {.type = kInputKey, .code = code, .value = pressed_[code]};
    if (!add_events({&event, 1})) return;
    told_.flip(code);
  }
}

void InputKeyboard::light(uint16_t number, bool on) {
  if (number >= kLights) return;
  const auto bit = static_cast<uint8_t>(1u << number);
  lights_.store(static_cast<uint8_t>(on ? lights_ | bit : lights_ & ~bit), std::memory_order_relaxed);
}

void InputKeyboard::clear() {
  pressed_.reset();
  told_.reset();
  lights_.store(0, std::memory_order_relaxed);
}

void InputKeyboard::save_input(StateWriter& to) const {
  for (size_t i = 0; i < kKeys; ++i) to(static_cast<bool>(pressed_[i]), static_cast<bool>(told_[i]));
  to(lights());
}

void InputKeyboard::load_input(StateReader& from) {
  for (size_t i = 0; i < kKeys; ++i) {
    bool pressed = false, told = false;
    from(pressed, told);
    pressed_[i] = pressed;
    told_[i] = told;
  }
  uint8_t lights = 0;
  from(lights);
  lights_.store(lights & ((1u << kLights) - 1), std::memory_order_relaxed);
}

}  // namespace eidolon::device::virtio
