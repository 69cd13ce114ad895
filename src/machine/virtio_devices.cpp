#include "machine/virtio_devices.h"

#include "backend/user_network.h"
#include "base/try.h"
#include "device/virtio/block.h"
#include "device/virtio/net.h"
#include "device/virtio/rng.h"

namespace eidolon::machine {

Result<> VirtioDevices::add(const MachineConfig& config, device::pci::Root& root, BootOrder& order) {
  // A recording cannot hold what a device's thread writes into memory.
  if (config.engine != EngineChoice::kLockstep)
    put(root, std::make_unique<device::virtio::Rng>("virtio-rng0"));
  return add_network(config, root, order);
}

void VirtioDevices::add_balloon(const MachineConfig& config, device::pci::Root& root) {
  if (!config.balloon || config.engine == EngineChoice::kLockstep) return;
  auto balloon = std::make_unique<device::virtio::Balloon>("virtio-balloon0");
  balloon_ = balloon.get();
  put(root, std::move(balloon));
}

void VirtioDevices::add_disk(device::pci::Root& root, size_t number, device::storage::Medium& medium,
                             std::string serial) {
  put(root, std::make_unique<device::virtio::Block>(fmt::format("virtio-blk{}", number), medium,
                                                    std::move(serial)));
}

Result<> VirtioDevices::add_network(const MachineConfig& config, device::pci::Root& root, BootOrder& order) {
  if (config.network.kind == NetworkConfig::Kind::kNone) return {};
  network_ = EIDOLON_TRY(backend::UserNetwork::create(config.network.published));
  order.add(BootDevice::kNetwork, BootOrder::pci_path("ethernet", root.free_device()) + "/ethernet-phy@0");
  put(root,
      std::make_unique<device::virtio::Net>("virtio-net0", *network_, device::virtio::Net::kFirstAddress));
  return {};
}

void VirtioDevices::put(device::pci::Root& root, std::unique_ptr<device::virtio::Device> device) {
  Slot slot{.transport = std::make_unique<device::virtio::PciTransport>(*device),
            .device = std::move(device)};
  root.add(root.free_device(), 0, *slot.transport);
  slots_.push_back(std::move(slot));
}

}  // namespace eidolon::machine
