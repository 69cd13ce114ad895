#include "control/ports.h"

#include <algorithm>

#include "backend/terminal.h"
#include "base/try.h"
#include "device/virtio/console.h"

namespace eidolon::control {

using backend::PortTarget;
using machine::PortConfig;

namespace {

constexpr size_t kLongestName = 64;

Result<> check_name(const std::string& name, const std::vector<PortConfig>& others) {
  const auto plain = [](unsigned char c) { return c > ' ' && c < 0x7f && c != '/'; };
  if (name.empty() || name.size() > kLongestName || !std::ranges::all_of(name, plain))
    return fail("--port takes NAME=TARGET, with a name such as org.example.agent, and not '{}'", name);
  for (const PortConfig& other : others)
    if (other.name == name) return fail("--port has the name '{}' twice; give each port its own", name);
  return {};
}

}  // namespace

Result<std::vector<PortConfig>> parse_ports(const std::string& console,
                                            const std::vector<std::string>& ports) {
  std::vector<PortConfig> all;
  if (!console.empty())
    all.push_back({.name = "",
                   .target = EIDOLON_TRY(backend::parse_port_target(console, "--console")),
                   .channel = nullptr});
  if (ports.size() > device::virtio::Console::kMostPorts)
    return fail("there are {} of --port, and a machine has room for {}", ports.size(),
                device::virtio::Console::kMostPorts);
  for (const std::string& text : ports) {
    const size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    EIDOLON_TRY(check_name(name, all));
    const std::string target = equals == text.npos ? "" : text.substr(equals + 1);
    all.push_back({.name = name,
                   .target = EIDOLON_TRY(backend::parse_port_target(target, "--port")),
                   .channel = nullptr});
  }
  if (std::ranges::count(all, PortTarget::Kind::kStdio,
                         [](const PortConfig& port) { return port.target.kind; }) > 1)
    return fail("only one of --console and --port can have the terminal; lead the others elsewhere");
  return all;
}

bool uses_terminal(const std::vector<PortConfig>& ports) {
  return std::ranges::any_of(
      ports, [](const PortConfig& port) { return port.target.kind == PortTarget::Kind::kStdio; });
}

Result<OpenPorts> OpenPorts::open(std::vector<PortConfig>& ports, backend::Console& user) {
  OpenPorts opened;
  for (PortConfig& port : ports) {
    if (port.target.kind == PortTarget::Kind::kStdio) {
      opened.terminal_ = std::make_shared<backend::StdioChannel>(user);
      port.channel = opened.terminal_;
      user.set_resize_observer([terminal = opened.terminal_.get()] { terminal->look_at_size(); });
    } else {
      std::shared_ptr<backend::StreamChannel> stream = EIDOLON_TRY(backend::StreamChannel::open(port.target));
      port.channel = stream;
      opened.streams_.push_back({.name = port.name, .channel = std::move(stream)});
    }
  }
  return opened;
}

void OpenPorts::start() {
  for (const Stream& stream : streams_) {
    if (!stream.channel->terminal().empty())
      backend::say(fmt::format("eidolon: {} is {}",
                               stream.name.empty() ? "the console" : "port " + stream.name,
                               stream.channel->terminal()));
    stream.channel->start();
  }
  if (terminal_) terminal_->start();
}

}  // namespace eidolon::control
