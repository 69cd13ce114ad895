// What a machine's configuration becomes for a copy that goes on from its snapshot beside others.
#pragma once

#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::machine {

/// The disk that the machine may write; null: there is none, so that copies may run beside it.
[[nodiscard]] const DiskConfig* written_disk(const MachineConfig& config);

/// What is written to its disks is forgotten at its end, its card has another address, and it has `published`
/// ports instead of those that another machine has. The error is about what copies cannot share.
[[nodiscard]] Result<> make_clone(MachineConfig& config, std::vector<backend::PublishedPort> published = {});
/// Those of the copy with this number, from 1 on: each has its own, which follow one another.
[[nodiscard]] Result<std::vector<backend::PublishedPort>> ports_of_clone(
    std::vector<backend::PublishedPort> published, unsigned number);

}  // namespace eidolon::machine
