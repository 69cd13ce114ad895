// A tablet: a pointer that says where it is, not how far it moved, with five buttons and a wheel. With it a
// remote screen needs no grab.
#pragma once

#include "device/input/events.h"
#include "device/usb/hid_device.h"

namespace eidolon::device::usb {

class HidTablet final : public HidDevice, public input::Pointer {
 public:
  explicit HidTablet(std::string name);

  // input::Pointer
  void pointer(const input::PointerEvent& event) override;
  [[nodiscard]] bool pointer_ready() const override { return ready(); }
  [[nodiscard]] bool takes_absolute() const override { return true; }

 private:
  [[nodiscard]] Report current() const override;
  void clear() override { buttons_ = 0; }
  void save_hid(StateWriter& to) const override { to(buttons_, x_, y_); }
  void load_hid(StateReader& from) override { from(buttons_, x_, y_); }
  [[nodiscard]] Report report(int32_t wheel) const;

  uint8_t buttons_ = 0;
  uint16_t x_ = 0;
  uint16_t y_ = 0;
};

}  // namespace eidolon::device::usb
