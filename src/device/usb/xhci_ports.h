// The root hub's ports (xHCI 1.1, 4.19 and 5.4.8): which device is plugged where, and the state of each port.
// Ports 1 to 4 are USB 2, ports 5 to 8 USB 3. No lock: the controller has one.
#pragma once

#include <array>

#include "device/usb/device.h"
#include "device/usb/xhci_protocol.h"

namespace eidolon::device::usb::xhci {

class Ports {
 public:
  /// While the machine is wired: to the lowest free port of its speed. The port's number, or 0.
  unsigned plug(Device& device);

  /// A reset of the controller: what is plugged in is seen anew.
  void reset();
  [[nodiscard]] uint32_t read(uint64_t offset) const;
  void write(uint64_t offset, uint32_t value);

  /// The device of an enabled port, `number` from 1 on, or null.
  [[nodiscard]] Device* device(unsigned number) const;
  /// What is plugged in there, or null.
  [[nodiscard]] Device* plugged(unsigned number) const;

  /// A port whose change the driver has not been told, or 0.
  [[nodiscard]] unsigned untold() const;
  void told(unsigned number) { ports_[number - 1].untold = false; }
  [[nodiscard]] bool any_change() const;

  void save(StateWriter& to) const;
  void load(StateReader& from);

 private:
  struct Port {
    Device* device = nullptr;
    uint32_t status = 0;  ///< PORTSC
    uint32_t power = 0;   ///< PORTPMSC
    bool untold = false;
  };
  void detect(Port& port, bool usb3);
  void write_status(Port& port, uint32_t value, bool usb3);
  void finish_reset(Port& port, uint32_t change);
  static void change(Port& port, uint32_t bits);

  std::array<Port, kPorts> ports_{};
};

}  // namespace eidolon::device::usb::xhci
