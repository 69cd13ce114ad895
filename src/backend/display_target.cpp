#include "backend/display_target.h"

#include <arpa/inet.h>

#include <charconv>

namespace eidolon::backend {

Result<DisplayTarget> parse_display_target(std::string_view text) {
  const auto wrong = [text] {
    return fail("--display takes none, terminal, vnc, vnc:PORT or vnc:ADDRESS:PORT (an IP address), not '{}'",
                text);
  };
  if (text == "none") return DisplayTarget{};
  if (text == "terminal") return DisplayTarget{.kind = DisplayTarget::Kind::kTerminal};
  if (!text.starts_with("vnc")) return wrong();
  DisplayTarget target{.kind = DisplayTarget::Kind::kVnc};
  std::string_view rest = text.substr(3);
  if (rest.empty()) return target;
  if (rest.front() != ':') return wrong();
  rest.remove_prefix(1);
  const size_t colon = rest.rfind(':');
  if (colon != rest.npos) {
    target.address = rest.substr(0, colon);
    if (target.address.starts_with('[') && target.address.ends_with(']'))
      target.address = target.address.substr(1, target.address.size() - 2);
    in6_addr room{};
    if (inet_pton(AF_INET, target.address.c_str(), &room) != 1 &&
        inet_pton(AF_INET6, target.address.c_str(), &room) != 1)
      return wrong();
    rest.remove_prefix(colon + 1);
  }
  const auto [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), target.port);
  if (problem != std::errc() || end != rest.data() + rest.size() || target.port == 0) return wrong();
  return target;
}

}  // namespace eidolon::backend
