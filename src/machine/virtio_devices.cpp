#include "machine/virtio_devices.h"

#include "backend/overlay_medium.h"
#include "backend/raw_medium.h"
#include "backend/user_network.h"
#include "base/try.h"
#include "device/virtio/block.h"
#include "device/virtio/net.h"
#include "device/virtio/rng.h"

namespace eidolon::machine {

using device::storage::Medium;

namespace {

Result<std::unique_ptr<Medium>> open_medium(const DiskConfig& disk) {
  const bool read_only = disk.access != DiskConfig::Access::kReadWrite;
  std::unique_ptr<Medium> base = EIDOLON_TRY(backend::RawMedium::open(disk.path, read_only));
  if (disk.access != DiskConfig::Access::kSnapshot) return base;
  return backend::OverlayMedium::create(std::move(base));
}

}  // namespace

Result<> VirtioDevices::add(const MachineConfig& config, device::pci::Root& root) {
  // A recording cannot hold what a device's thread writes into memory.
  if (config.engine != EngineChoice::kLockstep) put(root, std::make_unique<device::virtio::Rng>("virtio-rng0"));
  EIDOLON_TRY(add_disks(config, root));
  return add_network(config, root);
}

Result<> VirtioDevices::add_disks(const MachineConfig& config, device::pci::Root& root) {
  constexpr size_t kMostDisks = 16;
  if (config.disks.size() > kMostDisks)
    return fail("{} disks are more than the {} that a machine can have; leave out some --disk",
                config.disks.size(), kMostDisks);
  for (const DiskConfig& disk : config.disks) {
    Medium& medium = *media_.emplace_back(EIDOLON_TRY(open_medium(disk)));
    const size_t number = media_.size() - 1;
    put(root, std::make_unique<device::virtio::Block>(fmt::format("virtio-blk{}", number), medium,
                                                      fmt::format("eidolon-disk{}", number)));
  }
  return {};
}

Result<> VirtioDevices::add_network(const MachineConfig& config, device::pci::Root& root) {
  if (config.network.kind == NetworkConfig::Kind::kNone) return {};
  network_ = EIDOLON_TRY(backend::UserNetwork::create(config.network.published));
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
