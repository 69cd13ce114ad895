#include "backend/serial_target.h"

namespace eidolon::backend {

Result<SerialTarget> parse_serial_target(std::string_view text) {
  constexpr std::string_view kFilePrefix = "file:";
  if (text == "stdio") return SerialTarget{.kind = SerialTarget::Kind::kStdio, .path = {}};
  if (text == "null") return SerialTarget{.kind = SerialTarget::Kind::kNull, .path = {}};
  if (text.starts_with(kFilePrefix) && text.size() > kFilePrefix.size()) {
    return SerialTarget{.kind = SerialTarget::Kind::kFile,
                        .path = std::string(text.substr(kFilePrefix.size()))};
  }
  return fail("--serial does not know '{}'; it takes stdio, file:PATH or null", text);
}

}  // namespace eidolon::backend
