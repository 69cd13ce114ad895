// The USB controller of a machine and what is plugged into it.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "device/input/input.h"
#include "device/pci/root.h"
#include "device/usb/hid_keyboard.h"
#include "device/usb/hid_tablet.h"
#include "device/usb/xhci_controller.h"
#include "machine/machine_config.h"

namespace eidolon::machine {

class UsbDevices {
 public:
  /// No controller if nothing is to be plugged in. Starts no thread.
  void add(const InputDevices& config, device::pci::Root& root, const Clock& clock,
           device::input::Input& input);
  /// Ends the controller's thread. Once, before what it interrupts is destroyed.
  void stop() {
    if (controller_) controller_->stop();
  }

 private:
  // A device tells its controller of input, so the controller goes last.
  std::unique_ptr<device::usb::XhciController> controller_;
  std::unique_ptr<device::usb::HidTablet> tablet_;
  std::unique_ptr<device::usb::HidKeyboard> keyboard_;
};

}  // namespace eidolon::machine
