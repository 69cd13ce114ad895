// Whether the host's KVM is worth using: some are themselves software.
#pragma once

#include <string>

#include "base/result.h"

namespace eidolon::engine::kvm {

/// Runs a loop in real mode, where a KVM without hardware behind it has to emulate each instruction. The
/// error is half a sentence that says why it is not to be used: "it is slow ...". Takes some milliseconds at
/// most, and none where the processor shows that there is no hardware.
[[nodiscard]] Result<> probe();

}  // namespace eidolon::engine::kvm
