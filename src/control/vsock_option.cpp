#include "control/vsock_option.h"

#include <charconv>

#include "base/try.h"

namespace eidolon::control {

Result<machine::VsockConfig> parse_vsock(std::string_view text) {
  constexpr std::string_view kCid = ",cid=";
  machine::VsockConfig config;
  if (const size_t at = text.rfind(kCid); at != std::string_view::npos) {
    // 0 to 2 and the last one are nobody, the guest itself, the host, and anybody (virtio 1.2, 5.10.4).
    constexpr uint32_t kFirst = 3, kLast = 0xffff'fffe;
    const std::string_view number = text.substr(at + kCid.size());
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), config.cid);
    if (error != std::errc() || end != number.data() + number.size() || config.cid < kFirst ||
        config.cid > kLast)
      return fail("--vsock has no address '{}' for a guest; say ,cid= and a number from {} to {}", number,
                  kFirst, kLast);
    text = text.substr(0, at);
  }
  if (text.empty()) return fail("--vsock takes the path of a socket, as --vsock /tmp/machine.vsock,cid=3");
  config.path = text;
  return config;
}

Result<std::shared_ptr<backend::VsockSockets>> open_vsock(machine::VsockConfig& config) {
  if (config.path.empty()) return nullptr;
  std::shared_ptr<backend::VsockSockets> sockets =
      EIDOLON_TRY(backend::VsockSockets::open(config.path, config.cid, config.listens));
  config.wire = sockets;
  return sockets;
}

}  // namespace eidolon::control
