// What a user does with keyboard and pointer, on its way from a VNC client, a terminal or the control socket
// to the devices that the guest sees.
#pragma once

#include <algorithm>
#include <cstdint>

namespace eidolon::device::input {

/// Keys are named as in Linux (KEY_* of linux/input-event-codes.h), by their place on the keyboard and not by
/// what is printed on them.
struct KeyEvent {
  uint16_t code;
  bool down;
};

// Bits of PointerEvent::buttons.
inline constexpr uint8_t kLeftButton = 1u << 0;
inline constexpr uint8_t kRightButton = 1u << 1;
inline constexpr uint8_t kMiddleButton = 1u << 2;
inline constexpr uint8_t kSideButton = 1u << 3;
inline constexpr uint8_t kExtraButton = 1u << 4;

/// All buttons as they are now, and a movement.
struct PointerEvent {
  static constexpr int32_t kRange =
      0x7fff;  ///< absolute positions are from 0 to this, whatever the screen's size
  /// A pixel of a screen that is `size` wide or high, as an absolute position. Outside it, the nearest one.
  static constexpr int32_t from_pixel(int64_t pixel, uint32_t size) {
    const int64_t last = std::max(size, 2u) - 1;
    return static_cast<int32_t>(std::clamp<int64_t>(pixel, 0, last) * kRange / last);
  }

  bool absolute = false;
  int32_t x = 0;      ///< to the right; relative: counts, on an ordinary screen pixels
  int32_t y = 0;      ///< downwards
  int32_t wheel = 0;  ///< notches away from the user
  uint8_t buttons = 0;
};

/// A keyboard that the guest may have a driver for. Called from any thread; must not wait for the guest.
class Keyboard {
 public:
  virtual ~Keyboard() = default;
  virtual void key(const KeyEvent& event) = 0;
  /// Whether the guest has made it ready: of several keyboards, keys go to one that is.
  [[nodiscard]] virtual bool keyboard_ready() const = 0;
};

/// A mouse or a tablet.
class Pointer {
 public:
  virtual ~Pointer() = default;
  virtual void pointer(const PointerEvent& event) = 0;
  [[nodiscard]] virtual bool pointer_ready() const = 0;
  /// Takes absolute positions (a tablet), or else movements.
  [[nodiscard]] virtual bool takes_absolute() const = 0;
};

}  // namespace eidolon::device::input
