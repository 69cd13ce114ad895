// What `--publish` names: a port of the host that leads to one of the guest.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace eidolon::backend {

struct PublishedPort {
  std::string host_address = "127.0.0.1";  ///< IPv4
  uint16_t host_port = 0;
  uint16_t guest_port = 0;
  bool udp = false;
};

/// "[ADDRESS:]HOST:GUEST[/udp]", e.g. "8080:80" or "0.0.0.0:5353:53/udp".
[[nodiscard]] Result<PublishedPort> parse_published_port(std::string_view text);
[[nodiscard]] Result<std::vector<PublishedPort>> parse_published_ports(std::span<const std::string> texts);
[[nodiscard]] std::string to_string(const PublishedPort& port);

}  // namespace eidolon::backend
