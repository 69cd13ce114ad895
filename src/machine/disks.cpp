#include "machine/disks.h"

#include "base/try.h"
#include "machine/open_medium.h"

namespace eidolon::machine {

using device::storage::Medium;
using device::storage::NvmeController;

Result<> Disks::add(const MachineConfig& config, const Board& board, VirtioDevices& virtio) {
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
        virtio.add_disk(board.pci, number, medium, serial);
        break;
      case DiskConfig::Interface::kNvme: {
        auto& controller = nvme_.emplace_back(
            std::make_unique<NvmeController>(fmt::format("nvme{}", number), medium, serial));
        board.pci.add(board.pci.free_device(), 0, *controller);
        break;
      }
      case DiskConfig::Interface::kAhci:
        EIDOLON_TRY(pc_.add_ahci(disk, medium, serial));
        break;
      case DiskConfig::Interface::kIde:
        EIDOLON_TRY(pc_.add_ide(disk, medium, serial, board.irqs));
        break;
      case DiskConfig::Interface::kFloppy:
        EIDOLON_TRY(pc_.add_floppy(disk, medium, board.irqs, board.dma));
        break;
    }
  }
  return pc_.connect(board.pci, board.ports, board.rtc);
}

}  // namespace eidolon::machine
