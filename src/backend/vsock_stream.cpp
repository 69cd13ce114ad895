#include "backend/vsock_stream.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

namespace eidolon::backend {

using device::virtio::kVsockNoReceive;
using device::virtio::kVsockNoSend;
using device::virtio::VsockGuest;

namespace {

constexpr std::string_view kConnect = "CONNECT ";
constexpr size_t kLongestLine = 32;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

VsockStream::VsockStream(FileDescriptor socket, const Header& request)
    : socket_(std::move(socket)),
      state_(State::kOpen),
      host_port_(request.destination_port),
      guest_port_(request.source_port),
      owed_(Operation::kResponse),
      peer_buffer_(request.buffer),
      peer_forwarded_(request.forwarded) {}

/// Byte by byte, for what follows the line is the guest's.
bool VsockStream::read_line() {
  for (char byte = 0; line_.size() < kLongestLine;) {
    const ssize_t count = recv(socket_.get(), &byte, 1, MSG_DONTWAIT);
    if (count < 0 && would_block(errno)) return false;
    if (count <= 0) break;
    if (byte != '\n') {
      line_ += byte;
      continue;
    }
    if (line_.ends_with('\r')) line_.pop_back();
    const std::string_view number = std::string_view(line_).substr(std::min(kConnect.size(), line_.size()));
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), guest_port_);
    if (line_.starts_with(kConnect) && error == std::errc() && end == number.data() + number.size())
      return true;
    break;
  }
  end();
  return false;
}

void VsockStream::ask(uint32_t host_port, Clock::time_point deadline) {
  host_port_ = host_port;
  deadline_ = deadline;
  state_ = State::kAsked;
  owed_ = Operation::kRequest;
}

bool VsockStream::take(const device::virtio::VsockPacket& packet) {
  const Header& header = packet.header;
  peer_buffer_ = header.buffer;
  peer_forwarded_ = header.forwarded;
  if (header.operation == Operation::kResponse)
    return state_ == State::kAsked && owed_ == Operation::kInvalid && respond();
  if (state_ != State::kOpen) return false;
  switch (header.operation) {
    case Operation::kData:
      return take_data(packet.payload);
    case Operation::kShutdown:
      return take_shutdown(header.flags);
    case Operation::kCreditUpdate:
      return true;
    case Operation::kCreditRequest:
      update_asked_ = true;
      return true;
    default:
      return false;
  }
}

/// A fresh socket has room for the line.
bool VsockStream::respond() {
  state_ = State::kOpen;
  const std::string line = fmt::format("OK {}\n", host_port_);
  return send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(line.size());
}

bool VsockStream::take_data(std::span<const uint8_t> payload) {
  // More than it was told that there is room for, or after it said that there is no more.
  if (payload.size() > kBuffer - waiting() || (guest_shut_ & kVsockNoSend) != 0) return false;
  out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(std::exchange(out_begin_, 0)));
  out_.insert(out_.end(), payload.begin(), payload.end());
  return flush();
}

bool VsockStream::take_shutdown(uint32_t flags) {
  guest_shut_ |= flags & (kVsockNoReceive | kVsockNoSend);
  if ((guest_shut_ & kVsockNoReceive) != 0 && !in_.empty()) in_.clear();
  if (guest_shut_ == (kVsockNoReceive | kVsockNoSend)) {
    // Its owner has closed it and waits to hear that this is known; the client may still be reading.
    state_ = State::kDraining;
    if (!send_all() || waiting() == 0) end();
    return false;
  }
  if ((guest_shut_ & kVsockNoReceive) != 0) shutdown(socket_.get(), SHUT_RD);
  return flush();
}

/// False: the client is gone.
bool VsockStream::send_all() {
  while (waiting() != 0) {
    const ssize_t count =
        send(socket_.get(), out_.data() + out_begin_, waiting(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) return would_block(errno);
    out_begin_ += static_cast<size_t>(count);
    forwarded_ += static_cast<uint32_t>(count);
  }
  out_.clear();
  out_begin_ = 0;
  return true;
}

bool VsockStream::flush() {
  if (!send_all()) return false;
  if (waiting() == 0 && (guest_shut_ & kVsockNoSend) != 0 && !std::exchange(write_side_shut_, true))
    shutdown(socket_.get(), SHUT_WR);
  return true;
}

/// Counters run around; one that is ahead of what was sent says nothing good.
uint32_t VsockStream::credit() const {
  const uint32_t in_flight = sent_ - peer_forwarded_;
  return in_flight >= peer_buffer_ ? 0 : peer_buffer_ - in_flight;
}

bool VsockStream::reads() const {
  return state_ == State::kOpen && owed_ == Operation::kInvalid && in_.empty() && !host_sent_all_ &&
         (guest_shut_ & kVsockNoReceive) == 0 && credit() != 0;
}

/// A client that has gone makes its socket ready all the time: one that nobody wants to hear of is not asked.
pollfd VsockStream::watched() const {
  short events = 0;
  if (state_ == State::kHandshake || reads()) events |= POLLIN;
  if (waiting() != 0) events |= POLLOUT;
  const bool may_leave = state_ == State::kAsked || (state_ == State::kOpen && host_sent_all_ && !host_gone_);
  return {.fd = events != 0 || may_leave ? socket_.get() : -1, .events = events, .revents = 0};
}

bool VsockStream::ready(short events) {
  if (state_ == State::kDraining) {
    if (!send_all() || waiting() == 0) end();
    return true;
  }
  const bool hung_up = (events & (POLLHUP | POLLERR)) != 0;
  if (state_ == State::kAsked) return !hung_up;
  if ((events & POLLOUT) != 0 && !flush()) return false;
  if (((events & POLLIN) != 0 || hung_up) && reads() && !read_some()) return false;
  if (hung_up && host_sent_all_) host_gone_ = true;
  return true;
}

bool VsockStream::read_some() {
  in_.resize(std::min(credit(), VsockGuest::kMostPayload));
  const ssize_t count = recv(socket_.get(), in_.data(), in_.size(), MSG_DONTWAIT);
  const int error = errno;
  in_.resize(count > 0 ? static_cast<size_t>(count) : 0);
  if (count == 0) host_sent_all_ = true;
  return count >= 0 || would_block(error);
}

uint32_t VsockStream::shutdown_to_tell() const {
  const uint32_t shut = (host_sent_all_ ? kVsockNoSend : 0) | (host_gone_ ? kVsockNoReceive : 0);
  return in_.empty() ? shut & ~told_shut_ : 0;
}

bool VsockStream::next(Header& header, std::span<const uint8_t>& payload) const {
  payload = {};
  if (!has_ports()) return false;
  header = {.type = device::virtio::kVsockStream, .buffer = kBuffer, .forwarded = forwarded_};
  if (owed_ != Operation::kInvalid) {
    header.operation = owed_;
  } else if (state_ != State::kOpen) {
    return false;
  } else if (const size_t part = std::min<size_t>(in_.size(), credit()); part != 0) {
    header.operation = Operation::kData;
    payload = std::span(in_).first(part);
  } else if (const uint32_t shut = shutdown_to_tell(); shut != 0) {
    header.operation = Operation::kShutdown;
    header.flags = shut | told_shut_;
  } else if (update_asked_ || forwarded_ - told_forwarded_ >= kBuffer / 2) {
    header.operation = Operation::kCreditUpdate;
  } else {
    return false;
  }
  return true;
}

void VsockStream::told(const Header& header, size_t taken) {
  told_forwarded_ = header.forwarded;
  update_asked_ = false;
  if (header.operation == owed_) owed_ = Operation::kInvalid;
  if (header.operation == Operation::kShutdown) told_shut_ = header.flags;
  if (header.operation != Operation::kData) return;
  sent_ += static_cast<uint32_t>(taken);
  in_.erase(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(taken));
}

}  // namespace eidolon::backend
