// A keyboard with the boot protocol (HID 1.11, appendix B.1): eight modifiers, and up to six other keys at a
// time.
#pragma once

#include <array>

#include "device/input/events.h"
#include "device/usb/hid_device.h"

namespace eidolon::device::usb {

class HidKeyboard final : public HidDevice, public input::Keyboard {
 public:
  explicit HidKeyboard(std::string name);

  // input::Keyboard
  void key(const input::KeyEvent& event) override;
  [[nodiscard]] bool keyboard_ready() const override { return ready(); }

  /// Num Lock in bit 0, Caps Lock in bit 1, Scroll Lock in bit 2.
  [[nodiscard]] uint8_t lights() const { return lights_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kMostKeys = 6;

  [[nodiscard]] Report current() const override;
  void output(std::span<const uint8_t> report) override;
  void clear() override;
  void save_hid(StateWriter& to) const override;
  void load_hid(StateReader& from) override;

  uint8_t modifiers_ = 0;
  std::vector<uint8_t> pressed_;  ///< usages, in the order in which they were pressed
  std::atomic<uint8_t> lights_{0};
};

}  // namespace eidolon::device::usb
