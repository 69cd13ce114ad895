#include "migration/place.h"

#include <algorithm>
#include <charconv>

namespace eidolon::migration {

namespace {

constexpr std::string_view kUnix = "unix:", kTcp = "tcp:";

bool is_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
  return problem == std::errc() && end == text.data() + text.size() && port != 0;
}

}  // namespace

Result<Place> parse_place(std::string_view text) {
  Place place;
  if (text.starts_with(kUnix) && text.size() > kUnix.size()) {
    place.path = text.substr(kUnix.size());
    return place;
  }
  const size_t colon = text.rfind(':');
  if (text.starts_with(kTcp) && colon > kTcp.size() && is_port(text.substr(colon + 1))) {
    std::string_view host = text.substr(kTcp.size(), colon - kTcp.size());
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (bracketed) host = host.substr(1, host.size() - 2);
    if (!host.empty() && (bracketed || std::ranges::count(host, ':') == 0)) {
      place.kind = Place::Kind::kTcp;
      place.host = host;
      place.port = text.substr(colon + 1);
      return place;
    }
  }
  return fail("'{}' is neither unix:PATH nor tcp:HOST:PORT", text);
}

std::string to_string(const Place& place) {
  if (place.kind == Place::Kind::kUnix) return std::string(kUnix) + place.path;
  const bool brackets = place.host.find(':') != std::string::npos;
  return std::string(kTcp) + (brackets ? "[" + place.host + "]" : place.host) + ":" + place.port;
}

bool stays_here(const Place& place) {
  return place.kind == Place::Kind::kUnix || place.host == "localhost" || place.host == "::1" ||
         place.host.starts_with("127.");
}

}  // namespace eidolon::migration
