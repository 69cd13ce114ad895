// `eidolon clone`: one snapshot of a running machine, and processes that go on from it.
#pragma once

#include "control/clone_request.h"

namespace eidolon::control {

/// The exit status.
int clone_command(const CloneRequest& request);

}  // namespace eidolon::control
