// --vsock: its text, and the sockets that it stands for while the program runs.
#pragma once

#include <memory>
#include <string_view>

#include "backend/vsock_sockets.h"
#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::control {

/// PATH[,cid=N]
[[nodiscard]] Result<machine::VsockConfig> parse_vsock(std::string_view text);

/// Opens the host's end and puts it into `config`; null: there is to be none. It is not started yet.
[[nodiscard]] Result<std::shared_ptr<backend::VsockSockets>> open_vsock(machine::VsockConfig& config);

}  // namespace eidolon::control
