// `eidolon migrate`: has a running machine move, and follows it.
#pragma once

#include "control/migrate_request.h"

namespace eidolon::control {

/// The exit status.
int migrate_command(const MigrateRequest& request);

}  // namespace eidolon::control
