// The disks of a machine: media opened as the configuration says, each behind the controller that it names.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "device/pci/root.h"
#include "device/storage/medium.h"
#include "device/storage/nvme_controller.h"
#include "machine/machine_config.h"
#include "machine/virtio_devices.h"

namespace eidolon::machine {

class Disks {
 public:
  /// Starts no thread. What becomes a virtio device belongs to `virtio`, which goes before this.
  Result<> add(const MachineConfig& config, device::pci::Root& root, VirtioDevices& virtio);
  /// Ends the controllers' threads, and them. Once, before what they interrupt is destroyed.
  void remove_all() { nvme_.clear(); }
  /// Requests that wait for the host fail. From any thread.
  void stop_waiting() {
    for (const auto& medium : media_) medium->stop_waiting();
  }

 private:
  std::vector<std::unique_ptr<device::storage::Medium>> media_;
  std::vector<std::unique_ptr<device::storage::NvmeController>> nvme_;  ///< after what they stand on
};

}  // namespace eidolon::machine
