// All streams between a guest and the Unix sockets of the host, and the packets that carry them (virtio 1.2,
// 5.10.6). Whatever the guest sends, there are at most kMost streams, and at most so many packets wait for it
// to make room. No lock and no thread: VsockSockets has them.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "backend/vsock_stream.h"

namespace eidolon::backend {

class VsockStreams {
 public:
  using Clock = VsockStream::Clock;
  static constexpr size_t kMost = 256;

  /// A guest that connects to port N reaches the socket `path`_N. `cid` is the guest's address.
  VsockStreams(std::string path, uint32_t cid) : path_(std::move(path)), cid_(cid) {}

  [[nodiscard]] bool full() const { return streams_.size() >= kMost; }
  [[nodiscard]] size_t size() const { return streams_.size(); }
  /// Has said nothing yet.
  void add_client(FileDescriptor socket, Clock::time_point now);
  /// Somebody's time may run out.
  [[nodiscard]] bool waits() const;

  /// For poll(): one for each stream.
  void watch(std::vector<pollfd>& to) const;
  /// What poll() said of them, before anything else is called.
  void ready(std::span<const pollfd> watched, Clock::time_point now);
  /// Packets both ways. True: there may be more from the guest at once.
  [[nodiscard]] bool exchange(device::virtio::VsockGuest& guest);
  /// The guest knows of no stream any more.
  void forget();

 private:
  using Header = VsockStream::Header;
  static constexpr size_t kMostReplies = 64;

  void take(const device::virtio::VsockPacket& packet);
  void open(const Header& request);
  void deliver(device::virtio::VsockGuest& guest);
  void ask(VsockStream& stream, Clock::time_point now);
  /// The stream is over, and the guest is told.
  void reset(VsockStream& stream);
  void refuse(const Header& header);
  void sweep();
  [[nodiscard]] VsockStream* find(uint32_t host_port, uint32_t guest_port) const;
  void address(Header& header, uint32_t host_port, uint32_t guest_port) const;

  const std::string path_;
  const uint32_t cid_;
  uint64_t life_ = 0;
  uint32_t next_port_ = uint32_t{1} << 30;
  size_t turn_ = 0;  ///< who is first the next time
  std::vector<std::unique_ptr<VsockStream>> streams_;
  std::deque<Header> replies_;  ///< resets for what is no stream, or not any more
  device::virtio::VsockPacket packet_;
};

}  // namespace eidolon::backend
