// One stream between a port of a guest and a Unix socket: its buffer, its credit (virtio 1.2, 5.10.6.3), and
// what its ends have still to be told.
//
//   host asks:   kHandshake --"CONNECT n"--> kAsked --RESPONSE--> kOpen --> over
//   guest asks:                                                   kOpen --> over
//
// At most kBuffer bytes wait for a host that does not read, whatever the guest says of credit, and one
// packet's for the guest. Nothing blocks.
#pragma once

#include <poll.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/file.h"
#include "device/virtio/vsock_link.h"

namespace eidolon::backend {

class VsockStream {
 public:
  using Clock = std::chrono::steady_clock;
  using Header = device::virtio::VsockHeader;
  using Operation = device::virtio::VsockOperation;
  static constexpr uint32_t kBuffer = 256 * 1024;
  enum class State : uint8_t {
    kHandshake,  ///< a client has not said yet which port it wants
    kAsked,      ///< the guest has not answered yet
    kOpen,
    kDraining,  ///< the guest has forgotten it, and the client has not read everything
    kOver       ///< to be removed
  };

  /// A client, to which the guest's port is not known yet.
  VsockStream(FileDescriptor socket, Clock::time_point deadline)
      : socket_(std::move(socket)), deadline_(deadline), state_(State::kHandshake) {}
  /// What a guest has asked for by `request`.
  VsockStream(FileDescriptor socket, const Header& request);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] uint32_t host_port() const { return host_port_; }
  [[nodiscard]] uint32_t guest_port() const { return guest_port_; }
  /// The guest knows it, or is about to.
  [[nodiscard]] bool has_ports() const { return state_ == State::kAsked || state_ == State::kOpen; }
  /// When it is over unless it is open by then.
  [[nodiscard]] Clock::time_point deadline() const { return deadline_; }
  /// A reset would tell it something.
  [[nodiscard]] bool guest_knows() const {
    return state_ != State::kHandshake && owed_ != Operation::kRequest;
  }
  [[nodiscard]] bool waits() const { return state_ == State::kHandshake || state_ == State::kAsked; }
  void end() { state_ = State::kOver; }

  /// The client's line, as far as it has come; true: all of it, and guest_port() is known.
  [[nodiscard]] bool read_line();
  /// The guest is to be asked.
  void ask(uint32_t host_port, Clock::time_point deadline);

  /// What the guest sent on it. False: the guest is to be sent a reset, and the stream is over.
  [[nodiscard]] bool take(const device::virtio::VsockPacket& packet);
  /// To the client, what waits for it. False: as take().
  [[nodiscard]] bool flush();

  /// What is to be polled: a negative descriptor where nothing is.
  [[nodiscard]] pollfd watched() const;
  /// After poll(): reads what the guest has credit for. False: as take().
  [[nodiscard]] bool ready(short events);

  /// The next packet for the guest: a header without ports and addresses, and what it may carry. False:
  /// there is none now.
  [[nodiscard]] bool next(Header& header, std::span<const uint8_t>& payload) const;
  /// The guest has it, or `taken` bytes of its payload.
  void told(const Header& header, size_t taken);

 private:
  [[nodiscard]] uint32_t credit() const;
  [[nodiscard]] bool reads() const;
  [[nodiscard]] bool read_some();
  [[nodiscard]] bool respond();
  [[nodiscard]] bool take_data(std::span<const uint8_t> payload);
  [[nodiscard]] bool take_shutdown(uint32_t flags);
  [[nodiscard]] uint32_t shutdown_to_tell() const;
  [[nodiscard]] size_t waiting() const { return out_.size() - out_begin_; }
  [[nodiscard]] bool send_all();

  FileDescriptor socket_;
  Clock::time_point deadline_{};
  State state_;
  uint32_t host_port_ = 0, guest_port_ = 0;
  std::string line_;
  Operation owed_ = Operation::kInvalid;  ///< a request or a response that the guest has not yet

  std::vector<uint8_t> out_;  ///< for the client, from out_begin_ on
  size_t out_begin_ = 0;
  std::vector<uint8_t> in_;                      ///< for the guest
  uint32_t forwarded_ = 0, told_forwarded_ = 0;  ///< bytes that the client has, and what the guest knows
  uint32_t sent_ = 0, peer_buffer_ = 0, peer_forwarded_ = 0;
  bool update_asked_ = false;
  // Who has said that it does no more.
  uint32_t guest_shut_ = 0;     ///< kVsockNoReceive, kVsockNoSend
  bool host_sent_all_ = false;  ///< end of file
  bool host_gone_ = false;      ///< and it does not read either
  uint32_t told_shut_ = 0;      ///< what of it the guest knows
  bool write_side_shut_ = false;
};

}  // namespace eidolon::backend
