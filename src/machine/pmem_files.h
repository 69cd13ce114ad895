// Persistent memory of a machine: files that are mapped into guest memory above all that is RAM or PCI's,
// each with the virtio device that flushes it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/image/host_file.h"
#include "base/result.h"
#include "device/pci/root.h"
#include "device/storage/medium.h"
#include "machine/machine_config.h"
#include "machine/saved_media.h"
#include "machine/virtio_devices.h"
#include "memory/guest_memory.h"

namespace eidolon::machine {

/// How much of guest memory's capacity the files take. One that cannot be looked at takes none: opening it
/// says why.
[[nodiscard]] uint64_t pmem_bytes(const MachineConfig& config);

class PmemFiles {
 public:
  /// Opens the files and adds the devices, which go before this. After all RAM was added to `memory`.
  Result<> add(const MachineConfig& config, device::pci::Root& root, VirtioDevices& virtio,
               const memory::GuestMemory& memory);
  /// The guest finds them from now on. Once, before devices go on with requests, and after whoever is given
  /// all memory that belongs to the machine alone (GuestMemory::bytes) has it: this does not.
  Result<> show(memory::GuestMemory& memory) const;
  [[nodiscard]] std::vector<SavedMedium> saved_media() const;

 private:
  struct Opened {
    std::string path;
    std::unique_ptr<device::storage::Medium> medium;
    const backend::image::HostFile* file;  ///< that it is on
    memory::GuestPhysical base;
  };
  std::vector<Opened> files_;
};

}  // namespace eidolon::machine
