// The other side of DiskCopy: files of this host that get the contents of a machine's disks, and of the flash
// with its UEFI variables, before it comes.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/storage/medium.h"
#include "machine/machine_config.h"
#include "migration/disk_parts.h"

namespace eidolon::machine {

class CopiedDisks {
 public:
  /// Those of DiskCopy::description(), under their names in `config`. What is in them is to be overwritten,
  /// so that they have to be among the `given`. A file for UEFI variables that is not there is made.
  static Result<CopiedDisks> open(const nlohmann::json& described, const MachineConfig& config,
                                  std::span<const std::string> given);
  /// A kDisk message.
  Result<> take(migration::Bytes payload) { return parts_.take(payload); }
  /// All has come: it is on the host's disk when this returns, and the images are free for the machine.
  static Result<> finish(CopiedDisks disks) { return disks.parts_.finish(); }

 private:
  CopiedDisks(std::vector<std::unique_ptr<device::storage::Medium>> media, std::vector<migration::Disk> disks)
      : media_(std::move(media)), parts_(std::move(disks)) {}
  std::vector<std::unique_ptr<device::storage::Medium>> media_;
  migration::DiskReceiver parts_;
};

}  // namespace eidolon::machine
