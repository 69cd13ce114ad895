// The host's end of a guest's AF_VSOCK sockets, as Unix sockets (as other monitors have it):
//
//   a program connects to PATH, writes "CONNECT <port>\n" and reads "OK <port>\n": it is connected to that
//   port of the guest;
//   a guest that connects to port N of the host is connected to whoever listens on PATH_N.
//
// A thread of its own carries the bytes.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "backend/socket_place.h"
#include "backend/vsock_streams.h"
#include "backend/wakeup.h"
#include "base/result.h"

namespace eidolon::backend {

class VsockSockets final : public device::virtio::VsockWire {
 public:
  /// `listens` at `path`, or leaves that to another machine. `cid` is the guest's address.
  static Result<std::unique_ptr<VsockSockets>> open(const std::string& path, uint32_t cid, bool listens);
  ~VsockSockets() override;
  VsockSockets(const VsockSockets&) = delete;
  VsockSockets& operator=(const VsockSockets&) = delete;

  /// Begins to serve. Once.
  void start();

  // device::virtio::VsockWire
  void plug(device::virtio::VsockGuest* guest) override;
  void wake() override { wake_.raise(); }

 private:
  VsockSockets(const std::string& path, uint32_t cid, std::optional<SocketPlace> place, Wakeup wake)
      : place_(std::move(place)), wake_(std::move(wake)), streams_(path, cid) {}
  void serve();
  void accept_clients(VsockStreams::Clock::time_point now);

  std::optional<SocketPlace> place_;
  Wakeup wake_;
  std::atomic<bool> stopping_{false};
  bool may_accept_ = true;  ///< the thread's: the last time there was a descriptor left

  std::mutex mutex_;  ///< held while the guest is called
  VsockStreams streams_;
  device::virtio::VsockGuest* guest_ = nullptr;
  bool another_guest_ = false;  ///< which knows nothing of the streams
  std::thread thread_;
};

}  // namespace eidolon::backend
