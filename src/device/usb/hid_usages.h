// Keys as HID numbers them (HID Usage Tables 1.12, chapter 10).
#pragma once

#include <cstdint>

namespace eidolon::device::usb {

inline constexpr uint8_t kFirstModifier = 0xe0, kLastModifier = 0xe7;

/// The usage of a key that is named as in Linux (KEY_*), or 0 if a USB keyboard has no such key.
[[nodiscard]] uint8_t usage_of_key(uint16_t code);

}  // namespace eidolon::device::usb
