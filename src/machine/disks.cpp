#include "machine/disks.h"

#include <algorithm>

#include "base/try.h"
#include "device/pci/lpc.h"
#include "device/storage/scsi_cdrom.h"
#include "device/storage/scsi_disk.h"
#include "device/virtio/block.h"
#include "machine/open_medium.h"

namespace eidolon::machine {

using device::storage::Medium;
using device::storage::NvmeController;

namespace {

/// Where firmware finds the disks, in the order in which the controllers count them.
class BootPaths {
 public:
  BootPaths(const device::pci::Root& root, const VirtioDevices& virtio) : root_(root), virtio_(virtio) {}
  /// Of the disk that is added next.
  [[nodiscard]] std::string next(DiskConfig::Interface interface) {
    using device::storage::Ahci;
    using device::storage::Ide;
    switch (interface) {
      case DiskConfig::Interface::kVirtio:
        return virtio_.boot_path("scsi", root_) + "/disk@0,0";
      case DiskConfig::Interface::kNvme:
        return BootOrder::pci_path("pci8086,5845", root_.free_device()) + "/namespace@1,0";
      case DiskConfig::Interface::kAhci:
        return fmt::format("{}/drive@{:x}/disk@0",
                           BootOrder::pci_path("pci8086,2922", Ahci::kDevice, Ahci::kFunction), ahci_++);
      case DiskConfig::Interface::kIde: {
        const unsigned place = ide_++;
        return fmt::format("{}/drive@{:x}/disk@{:x}",
                           BootOrder::pci_path("ide", Ide::kDevice, Ide::kFunction),
                           place / Ide::kDrivesPerChannel, place % Ide::kDrivesPerChannel);
      }
      case DiskConfig::Interface::kScsi:
        if (scsi_ == 0) scsi_path_ = virtio_.boot_path("scsi", root_);
        return fmt::format("{}/channel@0/disk@0,{:x}", scsi_path_, scsi_++);
      case DiskConfig::Interface::kFloppy:
        return fmt::format("{}/fdc@03f0/floppy@{:x}", BootOrder::pci_path("isa", device::pci::Lpc::kDevice),
                           floppies_++);
    }
    return {};
  }

 private:
  const device::pci::Root& root_;
  const VirtioDevices& virtio_;
  std::string scsi_path_;  ///< once there is a controller
  unsigned ahci_ = 0, ide_ = 0, scsi_ = 0, floppies_ = 0;
};

BootDevice kind_of(const DiskConfig& disk) {
  if (disk.cdrom) return BootDevice::kCdrom;
  return disk.interface == DiskConfig::Interface::kFloppy ? BootDevice::kFloppy : BootDevice::kDisk;
}

}  // namespace

void Disks::add_scsi(const MachineConfig& config, const Board& board, VirtioDevices& virtio, bool cdrom,
                     Medium& medium, const std::string& serial) {
  using device::virtio::Scsi;
  if (scsi_ == nullptr)
    scsi_ = &virtio.add_scsi(board.pci, std::min(config.topology.processors(), Scsi::kMostRequestQueues));
  if (cdrom) {
    scsi_->attach(std::make_unique<device::storage::scsi::Cdrom>(medium, serial));
  } else {
    scsi_->attach(std::make_unique<device::storage::scsi::Disk>(medium, serial));
  }
}

std::vector<SavedMedium> Disks::saved_media() const {
  std::vector<SavedMedium> media;
  for (size_t i = 0; i < media_.size(); ++i)
    media.push_back({.name = fmt::format("disk{}", i), .path = paths_[i], .medium = media_[i].get()});
  return media;
}

Result<> Disks::add(const MachineConfig& config, const Board& board, VirtioDevices& virtio) {
  constexpr size_t kMostDisks = 16;
  static_assert(kMostDisks <= device::virtio::Scsi::kMostUnits);
  if (config.disks.size() > kMostDisks)
    return fail("{} disks are more than the {} that a machine can have; leave out some --disk",
                config.disks.size(), kMostDisks);
  BootPaths paths(board.pci, virtio);
  const unsigned queues = std::min(config.topology.processors(), device::virtio::Block::kMostQueues);
  for (size_t number = 0; number < config.disks.size(); ++number) {
    const DiskConfig& disk = config.disks[number];
    board.order.add(kind_of(disk), paths.next(disk.interface));
    if (disk.served) {
      EIDOLON_TRY(virtio.add_served_disk(board.pci, number, disk.path, queues, board.memory));
      continue;
    }
    Medium& medium = *media_.emplace_back(EIDOLON_TRY(open_medium(disk)));
    paths_.push_back(disk.path);
    const std::string serial = fmt::format("eidolon-disk{}", number);
    switch (disk.interface) {
      case DiskConfig::Interface::kVirtio:
        virtio.add_disk(board.pci, number, medium, serial, queues);
        break;
      case DiskConfig::Interface::kNvme: {
        auto& controller = nvme_.emplace_back(
            std::make_unique<NvmeController>(fmt::format("nvme{}", number), medium, serial));
        board.pci.add(board.pci.free_device(), 0, *controller);
        break;
      }
      case DiskConfig::Interface::kScsi:
        add_scsi(config, board, virtio, disk.cdrom, medium, serial);
        break;
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
