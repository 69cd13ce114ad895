#include "machine/network_devices.h"

#include "backend/terminal.h"
#include "base/try.h"

namespace eidolon::machine {

Result<> NetworkDevices::add(const NetworkConfig& config, device::pci::Root& root, TimerQueue& timers,
                             BootOrder& order, VirtioDevices& virtio) {
  if (config.kind == NetworkConfig::Kind::kNone) return {};
  device::net::Link* link = EIDOLON_TRY(make_link(config));
  const unsigned place = root.free_device();
  order.add(BootDevice::kNetwork, BootOrder::pci_path("ethernet", place) + "/ethernet-phy@0");
  switch (config.card) {
    case NetworkConfig::Card::kVirtio:
      virtio.add_network(root, *link, config.address);
      break;
    case NetworkConfig::Card::kE1000:
      e1000_ = std::make_unique<device::net::E1000>("e1000", timers, *link, config.address);
      root.add(place, 0, *e1000_);
      break;
  }
  return {};
}

Result<device::net::Link*> NetworkDevices::make_link(const NetworkConfig& config) {
  device::net::Link* link = nullptr;
  if (config.kind == NetworkConfig::Kind::kUser) {
    user_ = EIDOLON_TRY(backend::UserNetwork::create(config.published));
    link = user_.get();
  } else {
    switch_ = EIDOLON_TRY(backend::SwitchLink::create(config.switch_path));
    link = switch_.get();
  }
  if (config.capture_path.empty()) return link;
  capture_ = std::make_unique<backend::Capture>(
      *link, EIDOLON_TRY(backend::CaptureFile::create(config.capture_path, [](const std::string& sentence) {
        backend::say("eidolon: " + sentence);
      })));
  return capture_.get();
}

}  // namespace eidolon::machine
