// What a machine's configuration becomes for a copy that goes on from its snapshot beside others.
#pragma once

#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::machine {

/// The disk that the machine may write; null: there is none, so that copies may run beside it.
[[nodiscard]] const DiskConfig* written_disk(const MachineConfig& config);

/// What is written to its disks is forgotten at its end, and its published ports, which others have, are not
/// its own. The error is about what copies cannot share.
[[nodiscard]] Result<> make_clone(MachineConfig& config);

}  // namespace eidolon::machine
