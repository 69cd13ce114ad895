// A tablet: a pointer that says where it is, not how far it moved, with five buttons and a wheel.
#pragma once

#include "device/input/events.h"
#include "device/virtio/input.h"

namespace eidolon::device::virtio {

class InputTablet final : public Input, public input::Pointer {
 public:
  explicit InputTablet(std::string name);

  // input::Pointer
  void pointer(const input::PointerEvent& event) override;
  [[nodiscard]] bool pointer_ready() const override { return ready(); }
  [[nodiscard]] bool takes_absolute() const override { return true; }

 private:
  struct Place {
    int32_t x = -1, y = -1;  ///< -1: nowhere yet
    uint8_t buttons = 0;
  };

  void tell() override;
  void clear() override;
  void save_input(StateWriter& to) const override;
  void load_input(StateReader& from) override;

  Place now_, told_;
  int32_t wheel_ = 0;  ///< notches that the guest has not been told
};

}  // namespace eidolon::device::virtio
