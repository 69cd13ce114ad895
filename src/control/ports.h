// The ports of a machine's virtio console: their options, and the channels that they lead to while the
// program runs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/console.h"
#include "backend/stdio_channel.h"
#include "backend/stream_channel.h"
#include "base/result.h"
#include "machine/machine_config.h"

namespace eidolon::control {

/// `console`: a target, or empty. `ports`: NAME=TARGET each.
[[nodiscard]] Result<std::vector<machine::PortConfig>> parse_ports(const std::string& console,
                                                                   const std::vector<std::string>& ports);
/// Whether the terminal is one of the ports'.
[[nodiscard]] bool uses_terminal(const std::vector<machine::PortConfig>& ports);

class OpenPorts {
 public:
  /// Opens what the ports lead to and puts it into them; nothing that is there is changed yet.
  static Result<OpenPorts> open(std::vector<machine::PortConfig>& ports, backend::Console& user);
  /// Before the machine runs: what can be told of the ports is, and bytes begin to move.
  void start();
  /// The port that has the terminal; null: none.
  [[nodiscard]] backend::StdioChannel* terminal() const { return terminal_.get(); }

 private:
  struct Stream {
    std::string name;
    std::shared_ptr<backend::StreamChannel> channel;
  };
  std::vector<Stream> streams_;
  std::shared_ptr<backend::StdioChannel> terminal_;
};

}  // namespace eidolon::control
