// A keyboard: every key that Linux has a name for, and three lights. The guest repeats keys by itself.
#pragma once

#include <bitset>

#include "device/input/events.h"
#include "device/virtio/input.h"

namespace eidolon::device::virtio {

class InputKeyboard final : public Input, public input::Keyboard {
 public:
  explicit InputKeyboard(std::string name);

  // input::Keyboard
  void key(const input::KeyEvent& event) override;
  [[nodiscard]] bool keyboard_ready() const override { return ready(); }

  /// Num Lock in bit 0, Caps Lock in bit 1, Scroll Lock in bit 2.
  [[nodiscard]] uint8_t lights() const { return lights_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kKeys = 249;  ///< from KEY_ESC, 1, to KEY_MICMUTE; buttons come later
  using Keys = std::bitset<kKeys>;

  void tell() override;
  void light(uint16_t number, bool on) override;
  void clear() override;
  void save_input(StateWriter& to) const override;
  void load_input(StateReader& from) override;

  Keys pressed_, told_;
  std::atomic<uint8_t> lights_{0};
};

}  // namespace eidolon::device::virtio
