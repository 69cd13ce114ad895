// A guest's port on something that has a file descriptor: a pseudo-terminal, a client of a Unix socket, a
// file; or on nothing at all. A thread carries the bytes, and holds no more than one buffer of them each way.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "backend/port_target.h"
#include "backend/socket_place.h"
#include "backend/wakeup.h"
#include "base/file.h"
#include "base/result.h"
#include "device/channel.h"

namespace eidolon::backend {

class StreamChannel final : public device::Channel {
 public:
  /// Anything but the terminal. Nothing that was there is changed until start().
  static Result<std::unique_ptr<StreamChannel>> open(const PortTarget& target);
  ~StreamChannel() override;
  StreamChannel(const StreamChannel&) = delete;
  StreamChannel& operator=(const StreamChannel&) = delete;

  /// Empties a file, and begins to carry bytes. Once.
  void start();
  /// Where a pseudo-terminal is to be found; empty for the others.
  [[nodiscard]] const std::string& terminal() const { return terminal_; }

  // device::Channel
  void plug(device::Port* port) override;
  void wake() override;
  [[nodiscard]] bool connected() const override { return connected_.load(); }

 private:
  static constexpr size_t kBufferBytes = 16 * 1024;
  using Kind = PortTarget::Kind;

  StreamChannel(PortTarget target, Wakeup wake) : target_(std::move(target)), wake_(std::move(wake)) {}
  Result<> open_terminal();
  Result<> open_socket();
  Result<> open_file();

  // The thread's.
  void serve();
  void look_after_terminal();
  void accept_client();
  void set_connected(bool connected);
  void lose_peer();
  bool carry_out();
  bool carry_in();
  void read_some();
  [[nodiscard]] bool write_some();

  const PortTarget target_;
  Wakeup wake_;
  std::optional<SocketPlace> place_;  ///< of a socket
  FileDescriptor peer_;               ///< a client, the terminal's master side, or the file
  std::string terminal_;
  std::atomic<bool> connected_{false};
  std::atomic<bool> stopping_{false};
  std::vector<uint8_t> in_, out_;  ///< on their way

  std::mutex mutex_;  ///< held while the port is called
  device::Port* port_ = nullptr;
  bool changed_ = false;  ///< and the port does not know it yet
  std::thread thread_;
};

}  // namespace eidolon::backend
