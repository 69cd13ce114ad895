#include "machine/virtio_devices.h"

#include <fmt/format.h>

#include "device/virtio/block.h"
#include "device/virtio/console.h"
#include "device/virtio/fs.h"
#include "device/virtio/net.h"
#include "device/virtio/rng.h"
#include "device/virtio/vsock.h"

namespace eidolon::machine {

void VirtioDevices::add(const MachineConfig& config, device::pci::Root& root) {
  // A recording cannot hold what a device's thread writes into memory.
  if (config.engine != EngineChoice::kLockstep)
    put(root, std::make_unique<device::virtio::Rng>("virtio-rng0"));
}

Result<> VirtioDevices::add_console(const MachineConfig& config, device::pci::Root& root) {
  if (config.ports.empty()) return {};
  device::Channel* console = nullptr;
  std::vector<device::virtio::Console::Named> named;
  for (const PortConfig& port : config.ports) {
    if (!port.channel)
      return fail("the machine has ports, and this command leads them nowhere; use eidolon run");
    if (port.name.empty()) {
      console = port.channel.get();
    } else {
      named.push_back({.name = port.name, .channel = port.channel.get()});
    }
  }
  put(root, std::make_unique<device::virtio::Console>("virtio-console0", console, named));
  return {};
}

void VirtioDevices::add_balloon(const MachineConfig& config, device::pci::Root& root) {
  if (!config.balloon || config.engine == EngineChoice::kLockstep) return;
  auto balloon = std::make_unique<device::virtio::Balloon>("virtio-balloon0");
  balloon_ = balloon.get();
  put(root, std::move(balloon));
}

Result<> VirtioDevices::add_vsock(const MachineConfig& config, device::pci::Root& root) {
  if (config.vsock.path.empty()) return {};
  if (!config.vsock.wire)
    return fail("the machine has sockets (vsock), and this command leads them nowhere; use eidolon run");
  put(root, std::make_unique<device::virtio::Vsock>("virtio-vsock0", *config.vsock.wire, config.vsock.cid));
  return {};
}

Result<> VirtioDevices::add_shares(const MachineConfig& config, device::pci::Root& root) {
  for (size_t number = 0; number < config.shares.size(); ++number) {
    const ShareConfig& share = config.shares[number];
    if (!share.server)
      return fail("the machine has shared folders, and this command opens none; use eidolon run");
    put(root,
        std::make_unique<device::virtio::Fs>(fmt::format("virtio-fs{}", number), *share.server, share.tag));
  }
  return {};
}

void VirtioDevices::add_disk(device::pci::Root& root, size_t number, device::storage::Medium& medium,
                             std::string serial) {
  put(root, std::make_unique<device::virtio::Block>(fmt::format("virtio-blk{}", number), medium,
                                                    std::move(serial)));
}

void VirtioDevices::add_network(device::pci::Root& root, device::net::Link& link,
                                const device::net::MacAddress& address) {
  put(root, std::make_unique<device::virtio::Net>("virtio-net0", link, address));
}

void VirtioDevices::put(device::pci::Root& root, std::unique_ptr<device::virtio::Device> device) {
  Slot slot{.transport = std::make_unique<device::virtio::PciTransport>(*device),
            .device = std::move(device)};
  root.add(root.free_device(), 0, *slot.transport);
  slots_.push_back(std::move(slot));
}

}  // namespace eidolon::machine
