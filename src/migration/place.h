// Where the other side of a migration is: "unix:PATH" or "tcp:HOST:PORT" (an IPv6 address in brackets).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace eidolon::migration {

struct Place {
  enum class Kind : uint8_t { kUnix, kTcp } kind = Kind::kUnix;
  std::string path;        ///< of a Unix socket
  std::string host, port;  ///< of TCP
};

[[nodiscard]] Result<Place> parse_place(std::string_view text);
[[nodiscard]] std::string to_string(const Place& place);
/// Nobody but this host sees what goes there.
[[nodiscard]] bool stays_here(const Place& place);

}  // namespace eidolon::migration
