// Where a machine's screen is shown, as the user names it: none, terminal, vnc, vnc:PORT or
// vnc:ADDRESS:PORT.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace eidolon::backend {

struct DisplayTarget {
  enum class Kind : uint8_t { kNone, kTerminal, kVnc } kind = Kind::kNone;
  std::string address = "127.0.0.1";
  uint16_t port = 5900;
};

[[nodiscard]] Result<DisplayTarget> parse_display_target(std::string_view text);

}  // namespace eidolon::backend
