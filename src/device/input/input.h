// The machine's end of the user's hands: sends each event to the device that the guest listens to.
//
// A tablet that is ready gets absolute positions. A mouse gets movements; if the user's side only knows
// absolute positions (VNC), they become movements on a screen of the size that set_screen_size() was told.
#pragma once

#include <mutex>
#include <set>
#include <vector>

#include "device/input/events.h"

namespace eidolon::device::input {

class Input {
 public:
  /// While the machine is wired. Of several that are ready the last one added is taken; if none is, the first
  /// one added.
  void add(Keyboard& keyboard) { keyboards_.push_back(&keyboard); }
  void add(Pointer& pointer) { pointers_.push_back(&pointer); }
  /// Nobody is listened to any more: when it returns, devices may end.
  void remove_all();

  // From any thread.
  void key(const KeyEvent& event);
  void pointer(const PointerEvent& event);
  /// As the last event left them.
  [[nodiscard]] uint8_t buttons();
  /// Lets go of every key that key() has pressed: whoever pressed them has gone.
  void release_all();
  void set_screen_size(uint32_t width, uint32_t height);

 private:
  [[nodiscard]] Keyboard* keyboard() const;
  [[nodiscard]] Pointer* pointer_for(bool absolute) const;
  [[nodiscard]] PointerEvent relative(const PointerEvent& event);

  std::vector<Keyboard*> keyboards_;
  std::vector<Pointer*> pointers_;
  std::mutex mutex_;  ///< before the devices' locks
  std::set<uint16_t> pressed_;
  int32_t width_ = 640, height_ = 480;
  uint8_t buttons_ = 0;
  bool has_position_ = false;
  int32_t last_x_ = 0, last_y_ = 0;  ///< in pixels
};

}  // namespace eidolon::device::input
