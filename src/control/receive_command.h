// `eidolon receive`: waits for a machine that moves here, and runs it.
#pragma once

#include "control/migrate_request.h"

namespace eidolon::control {

/// The exit status.
int receive_command(const ReceiveRequest& request);

}  // namespace eidolon::control
