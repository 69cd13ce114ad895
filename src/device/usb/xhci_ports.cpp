#include "device/usb/xhci_ports.h"

namespace eidolon::device::usb::xhci {

namespace {

// PORTSC
constexpr uint32_t kConnected = 1u << 0, kEnabled = 1u << 1, kReset = 1u << 4, kLinkMask = 0xfu << 5,
                   kPower = 1u << 9, kSpeedMask = 0xfu << 10, kIndicator = 3u << 14, kLinkStrobe = 1u << 16,
                   kConnectChange = 1u << 17, kWarmResetChange = 1u << 19, kResetChange = 1u << 21,
                   kLinkChange = 1u << 22, kWake = 7u << 25, kWarmReset = 1u << 31;
constexpr uint32_t kChanges = 0x7fu << 17;
constexpr unsigned kLinkShift = 5, kSpeedShift = 10;

// Link states
constexpr uint32_t kU0 = 0, kU3 = 3, kDetect = 5, kPolling = 7, kResume = 15;

bool is_usb3(size_t index) { return index >= kUsb2Ports; }
uint32_t with_link(uint32_t status, uint32_t link) { return (status & ~kLinkMask) | link << kLinkShift; }

}  // namespace

unsigned Ports::plug(Device& device) {
  const bool super = device.speed() == Speed::kSuper;
  for (unsigned i = super ? kUsb2Ports : 0; i < (super ? kPorts : kUsb2Ports); ++i) {
    if (ports_[i].device != nullptr) continue;
    ports_[i].device = &device;
    detect(ports_[i], super);
    return i + 1;
  }
  return 0;
}

void Ports::reset() {
  for (size_t i = 0; i < ports_.size(); ++i) {
    ports_[i].power = 0;
    ports_[i].untold = false;
    detect(ports_[i], is_usb3(i));
  }
}

/// What the port sees of its device: USB 2 waits for a reset by the driver, USB 3 is enabled at once.
void Ports::detect(Port& port, bool usb3) {
  port.status = with_link(kPower, kDetect);
  if (port.device == nullptr) return;
  port.device->reset();
  port.status = with_link(kPower | kConnected, usb3 ? kU0 : kPolling) |
                static_cast<uint32_t>(port.device->speed()) << kSpeedShift | (usb3 ? kEnabled : 0);
  change(port, kConnectChange);
}

/// A change that the driver has seen and not acknowledged is not told again (4.19.2).
void Ports::change(Port& port, uint32_t bits) {
  if ((port.status & kChanges) == 0) port.untold = true;
  port.status |= bits;
}

uint32_t Ports::read(uint64_t offset) const {
  const uint64_t index = offset / kPortBytes;
  if (index >= kPorts) return 0;
  switch (offset % kPortBytes) {
    case 0:
      return ports_[index].status;
    case 4:
      return ports_[index].power;
    default:
      return 0;
  }
}

void Ports::write(uint64_t offset, uint32_t value) {
  const uint64_t index = offset / kPortBytes;
  if (index >= kPorts) return;
  if (offset % kPortBytes == 0) write_status(ports_[index], value, is_usb3(index));
  if (offset % kPortBytes == 4) ports_[index].power = value;
}

/// Power cannot be switched (HCCPARAMS1.PPC is 0) and stays on, whatever is written.
void Ports::write_status(Port& port, uint32_t value, bool usb3) {
  port.status &= ~(value & kChanges);
  port.status = (port.status & ~(kWake | kIndicator)) | (value & (kWake | kIndicator));
  if ((value & kReset) != 0) return finish_reset(port, kResetChange);
  if ((value & kWarmReset) != 0 && usb3) return finish_reset(port, kResetChange | kWarmResetChange);
  if ((value & kEnabled) != 0 && (port.status & kEnabled) != 0) {
    port.status = with_link(port.status & ~kEnabled, usb3 ? kDetect : kPolling);
    return;
  }
  if ((value & kLinkStrobe) == 0 || (port.status & kEnabled) == 0) return;
  const uint32_t now = (port.status & kLinkMask) >> kLinkShift;
  const uint32_t wanted = (value & kLinkMask) >> kLinkShift;
  if (wanted == kU3) {
    port.status = with_link(port.status, kU3);
  } else if (wanted == kResume) {
    port.status = with_link(port.status, kResume);  // the driver ends it with U0
  } else if (wanted == kU0 && now != kU0) {
    port.status = with_link(port.status, kU0);
    change(port, kLinkChange);
  }
}

/// It takes no time.
void Ports::finish_reset(Port& port, uint32_t changes) {
  if (port.device == nullptr) return;
  port.device->reset();
  port.status = with_link(port.status | kEnabled, kU0);
  change(port, changes);
}

Device* Ports::plugged(unsigned number) const {
  return number >= 1 && number <= kPorts ? ports_[number - 1].device : nullptr;
}

Device* Ports::device(unsigned number) const {
  Device* device = plugged(number);
  return device != nullptr && (ports_[number - 1].status & kEnabled) != 0 ? device : nullptr;
}

unsigned Ports::untold() const {
  for (unsigned i = 0; i < kPorts; ++i)
    if (ports_[i].untold) return i + 1;
  return 0;
}

bool Ports::any_change() const {
  for (const Port& port : ports_)
    if ((port.status & kChanges) != 0) return true;
  return false;
}

void Ports::save(StateWriter& to) const {
  for (const Port& port : ports_) to(port.status, port.power, port.untold);
}

/// What is plugged in is this machine's.
void Ports::load(StateReader& from) {
  for (Port& port : ports_) {
    from(port.status, port.power, port.untold);
    const bool connected = (port.status & kConnected) != 0;
    if (connected != (port.device != nullptr)) from.fail();
    port.status = (port.status & ~kSpeedMask & ~kReset) | kPower;
    if (port.device != nullptr) port.status |= static_cast<uint32_t>(port.device->speed()) << kSpeedShift;
  }
}

}  // namespace eidolon::device::usb::xhci
