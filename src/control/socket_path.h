// Where machines that have a name listen: NAME.sock in $XDG_RUNTIME_DIR/eidolon, or in /tmp/eidolon-UID where
// there is no such directory. Only this user may look into it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace eidolon::control {

/// Letters, digits, '.', '-' and '_', not beginning with '.', at most 64 of them.
[[nodiscard]] Result<> check_machine_name(const std::string& name);

/// The directory, made if it is not there. The error is about a directory that somebody else has a hand in.
[[nodiscard]] Result<std::string> runtime_directory();
[[nodiscard]] Result<std::string> socket_path(const std::string& name);

/// The machines that listen now. Sockets that nobody serves are removed.
[[nodiscard]] Result<std::vector<std::string>> running_machines();
/// The socket of the machine that is meant: by name, or the only one that runs.
[[nodiscard]] Result<std::string> find_machine(const std::string& name);

}  // namespace eidolon::control
