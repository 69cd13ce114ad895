// X11 key symbols, which VNC clients send that do not know keys by their place (RFC 6143, 7.5.4).
#pragma once

#include <cstdint>
#include <optional>

namespace eidolon::backend {

/// The key of a US keyboard that has this symbol: a KEY_* of linux/input-event-codes.h. Whether Shift is down
/// is what the client says by itself.
[[nodiscard]] std::optional<uint16_t> key_of_keysym(uint32_t keysym);

}  // namespace eidolon::backend
