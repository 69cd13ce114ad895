#include "machine/disks.h"

#include "base/try.h"
#include "machine/open_medium.h"

namespace eidolon::machine {

using device::storage::Medium;
using device::storage::NvmeController;

Result<> Disks::add(const MachineConfig& config, device::pci::Root& root, VirtioDevices& virtio) {
  constexpr size_t kMostDisks = 16;
  if (config.disks.size() > kMostDisks)
    return fail("{} disks are more than the {} that a machine can have; leave out some --disk",
                config.disks.size(), kMostDisks);
  for (const DiskConfig& disk : config.disks) {
    Medium& medium = *media_.emplace_back(EIDOLON_TRY(open_medium(disk)));
    const size_t number = media_.size() - 1;
    const std::string serial = fmt::format("eidolon-disk{}", number);
    switch (disk.interface) {
      case DiskConfig::Interface::kVirtio:
        virtio.add_disk(root, number, medium, serial);
        break;
      case DiskConfig::Interface::kNvme: {
        auto& controller = nvme_.emplace_back(
            std::make_unique<NvmeController>(fmt::format("nvme{}", number), medium, serial));
        root.add(root.free_device(), 0, *controller);
        break;
      }
    }
  }
  return {};
}

}  // namespace eidolon::machine
