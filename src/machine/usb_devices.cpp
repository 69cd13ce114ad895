#include "machine/usb_devices.h"

#include "base/assert.h"

namespace eidolon::machine {

using namespace device::usb;

void UsbDevices::add(const InputDevices& config, device::pci::Root& root, const Clock& clock,
                     device::input::Input& input) {
  if (!config.tablet && !config.keyboard) return;
  controller_ = std::make_unique<XhciController>("xhci0", clock);
  root.add(root.free_device(), 0, *controller_);
  bool plugged = true;
  if (config.tablet) {
    tablet_ = std::make_unique<HidTablet>("usb-tablet0");
    plugged = plugged && controller_->plug(*tablet_);
    input.add(*tablet_);
  }
  if (config.keyboard) {
    keyboard_ = std::make_unique<HidKeyboard>("usb-keyboard0");
    plugged = plugged && controller_->plug(*keyboard_);
    input.add(*keyboard_);
  }
  EIDOLON_ASSERT(plugged);  // there are more ports than kinds of devices
}

}  // namespace eidolon::machine
