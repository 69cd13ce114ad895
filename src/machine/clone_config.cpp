#include "machine/clone_config.h"

#include <algorithm>

namespace eidolon::machine {

namespace {
bool is_written(const DiskConfig& disk) { return disk.access == DiskConfig::Access::kReadWrite; }
}  // namespace

const DiskConfig* written_disk(const MachineConfig& config) {
  const auto found = std::ranges::find_if(config.disks, is_written);
  return found == config.disks.end() ? nullptr : &*found;
}

Result<> make_clone(MachineConfig& config) {
  if (!config.firmware.variables_path.empty())
    return fail("copies of a machine cannot share the UEFI variables in '{}'; start it without --uefi-vars",
                config.firmware.variables_path);
  for (DiskConfig& disk : config.disks)
    if (is_written(disk)) disk.access = DiskConfig::Access::kSnapshot;
  config.network.published.clear();
  config.vsock.listens = false;  // the original does; who listens for guests can serve them all
  return {};
}

}  // namespace eidolon::machine
