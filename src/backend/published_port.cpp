#include "backend/published_port.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/try.h"

namespace eidolon::backend {

namespace {

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

/// Cuts off and returns what follows the last `separator`; nothing if there is none.
std::optional<std::string_view> cut_last(std::string_view& text, char separator) {
  const size_t at = text.rfind(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view tail = text.substr(at + 1);
  text = text.substr(0, at);
  return tail;
}

}  // namespace

Result<PublishedPort> parse_published_port(std::string_view text) {
  const auto wrong = [whole = text] {
    return fail("--publish does not understand '{}'; it takes [ADDRESS:]HOST:GUEST[/udp], as in 8080:80",
                whole);
  };
  PublishedPort result;
  if (const auto protocol = cut_last(text, '/')) {
    if (*protocol != "udp" && *protocol != "tcp") return wrong();
    result.udp = *protocol == "udp";
  }
  const auto guest_text = cut_last(text, ':');
  if (!guest_text) return wrong();
  const auto guest = parse_port(*guest_text);
  if (text.find(':') != std::string_view::npos) {
    const std::string_view host_text = *cut_last(text, ':');
    result.host_address = std::string(text);
    text = host_text;
  }
  const auto host = parse_port(text);
  in_addr address{};
  if (!guest || !host || inet_pton(AF_INET, result.host_address.c_str(), &address) != 1) return wrong();
  result.host_port = *host;
  result.guest_port = *guest;
  return result;
}

Result<std::vector<PublishedPort>> parse_published_ports(std::span<const std::string> texts) {
  std::vector<PublishedPort> ports;
  for (const std::string& text : texts) ports.push_back(EIDOLON_TRY(parse_published_port(text)));
  return ports;
}

std::string to_string(const PublishedPort& port) {
  return fmt::format("{}:{}:{}{}", port.host_address, port.host_port, port.guest_port,
                     port.udp ? "/udp" : "");
}

}  // namespace eidolon::backend
