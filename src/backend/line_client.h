// The other end of a LineServer.
#pragma once

#include <sys/un.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace eidolon::backend {

/// The error is for a path that is too long for a socket.
[[nodiscard]] Result<sockaddr_un> socket_address(const std::string& path);
/// Whether somebody serves at `path`.
[[nodiscard]] bool is_served(const std::string& path);
/// Sends a line and waits for the answer.
[[nodiscard]] Result<std::string> ask_line(const std::string& path, std::string_view line,
                                           unsigned timeout_seconds);

}  // namespace eidolon::backend
