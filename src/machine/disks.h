// The disks of a machine: media opened as the configuration says, each behind the controller that it names.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "device/pci/root.h"
#include "device/storage/medium.h"
#include "device/storage/nvme_controller.h"
#include "machine/boot_order.h"
#include "machine/machine_config.h"
#include "machine/pc_disks.h"
#include "machine/saved_media.h"
#include "machine/virtio_devices.h"

namespace eidolon::machine {

class Disks {
 public:
  /// What the controllers are put on.
  struct Board {
    device::pci::Root& pci;
    memory::IoBus& ports;
    interrupt::IrqRouter& irqs;
    device::DmaController& dma;
    device::Rtc& rtc;
    BootOrder& order;
    memory::GuestMemory& memory;
  };

  /// Starts no thread. What becomes a virtio device belongs to `virtio`, which goes before this.
  Result<> add(const MachineConfig& config, const Board& board, VirtioDevices& virtio);
  /// Ends the controllers' threads, and them. Once, before what they interrupt is destroyed.
  void remove_all() {
    nvme_.clear();
    pc_.remove_all();
  }
  /// Null: there is no floppy controller. The others are on the PCI bus.
  [[nodiscard]] Stateful* floppy() { return pc_.floppy(); }
  [[nodiscard]] std::vector<SavedMedium> saved_media() const;
  /// Requests that wait for the host fail. From any thread.
  void stop_waiting() {
    for (const auto& medium : media_) medium->stop_waiting();
  }

 private:
  void add_scsi(const MachineConfig& config, const Board& board, VirtioDevices& virtio, bool cdrom,
                device::storage::Medium& medium, const std::string& serial);

  std::vector<std::unique_ptr<device::storage::Medium>> media_;
  std::vector<std::string> paths_;  ///< of media_
  // After what they stand on.
  std::vector<std::unique_ptr<device::storage::NvmeController>> nvme_;
  PcDisks pc_;
  device::virtio::Scsi* scsi_ = nullptr;  ///< of `virtio`, if there is one
};

}  // namespace eidolon::machine
