// What `--console` and `--port` name: where the bytes of a guest's port go, and come from.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace eidolon::backend {

struct PortTarget {
  enum class Kind : uint8_t {
    kStdio,   ///< the terminal
    kPty,     ///< a terminal of its own, for programs such as screen
    kSocket,  ///< a Unix socket, on which one client is served at a time
    kFile,    ///< what the guest sends
    kNull
  } kind = Kind::kNull;
  std::string path;  ///< of a socket or a file
};

/// "stdio", "pty", "socket:PATH", "file:PATH" or "null". `option` is what it was written for.
[[nodiscard]] Result<PortTarget> parse_port_target(std::string_view text, std::string_view option);

}  // namespace eidolon::backend
