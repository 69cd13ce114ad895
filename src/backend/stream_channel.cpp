#include "backend/stream_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "backend/terminal.h"
#include "base/try.h"

namespace eidolon::backend {

namespace {

/// So often it is looked whether somebody has opened a terminal: nothing else tells.
constexpr int kTerminalPause = 300;  // ms

/// The other work of the loop is not kept waiting for longer than so many buffers.
constexpr unsigned kRounds = 16;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

Result<std::unique_ptr<StreamChannel>> StreamChannel::open(const PortTarget& target) {
  Wakeup wake = EIDOLON_TRY(Wakeup::create());
  std::unique_ptr<StreamChannel> channel(new StreamChannel(target, std::move(wake)));
  if (target.kind == Kind::kPty) EIDOLON_TRY(channel->open_terminal());
  if (target.kind == Kind::kSocket) EIDOLON_TRY(channel->open_socket());
  if (target.kind == Kind::kFile) EIDOLON_TRY(channel->open_file());
  return channel;
}

/// The other side is opened once and closed: from then on, a hang-up says that nobody has it open.
Result<> StreamChannel::open_terminal() {
  peer_ = FileDescriptor(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, 128> name{};
  if (!peer_.valid() || grantpt(peer_.get()) != 0 || unlockpt(peer_.get()) != 0 ||
      ptsname_r(peer_.get(), name.data(), name.size()) != 0)
    return fail("cannot make a pseudo-terminal ({}); see /proc/sys/kernel/pty", strerror(errno));
  terminal_ = name.data();
  const FileDescriptor other(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  termios settings{};
  if (!other.valid() || tcgetattr(other.get(), &settings) != 0)
    return fail("cannot open the pseudo-terminal {} ({})", terminal_, strerror(errno));
  cfmakeraw(&settings);  // echo and line editing are the guest's
  tcsetattr(other.get(), TCSANOW, &settings);
  return {};
}

Result<> StreamChannel::open_socket() {
  place_.emplace(EIDOLON_TRY(
      SocketPlace::listen(target_.path, {.other_place = "name another socket",
                                         .taken = "somebody already listens there; name another socket"})));
  return {};
}

Result<> StreamChannel::open_file() {
  peer_ = FileDescriptor(::open(target_.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666));
  if (!peer_.valid())
    return fail("cannot write to '{}' ({}); name a file that can be written", target_.path, strerror(errno));
  return {};
}

StreamChannel::~StreamChannel() {
  stopping_.store(true);
  wake();
  if (thread_.joinable()) thread_.join();
}

void StreamChannel::start() {
  struct stat found {};
  if (target_.kind == Kind::kFile && fstat(peer_.get(), &found) == 0 && S_ISREG(found.st_mode) &&
      ftruncate(peer_.get(), 0) != 0)
    say("eidolon: cannot empty '" + target_.path + "'; what the guest sends is written over it");
  set_connected(target_.kind == Kind::kFile || target_.kind == Kind::kNull);
  thread_ = std::thread([this] { serve(); });
}

void StreamChannel::plug(device::Port* port) {
  {
    std::lock_guard lock(mutex_);
    port_ = port;
    changed_ = true;
  }
  wake();
}

void StreamChannel::wake() { wake_.raise(); }

void StreamChannel::serve() {
  bool more = false;
  while (!stopping_.load()) {
    if (target_.kind == Kind::kPty) look_after_terminal();
    const bool there = peer_.valid() && connected();
    const bool reads = there && in_.empty() && target_.kind != Kind::kFile;
    const auto events = static_cast<short>((reads ? POLLIN : 0) | (out_.empty() ? 0 : POLLOUT));
    std::array<pollfd, 3> watched = {
        wake_.watched(), pollfd{.fd = there ? peer_.get() : -1, .events = events, .revents = 0},
        pollfd{.fd = place_ && !peer_.valid() ? place_->fd() : -1, .events = POLLIN, .revents = 0}};
    const bool waits_for_terminal = target_.kind == Kind::kPty && !there;
    if (poll(watched.data(), watched.size(), more ? 0 : waits_for_terminal ? kTerminalPause : -1) < 0)
      continue;
    if (watched[0].revents != 0) wake_.drain();
    if (watched[2].revents != 0) accept_client();
    if ((watched[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) read_some();
    more = carry_out();
    more = carry_in() || more;
  }
}

/// A terminal that nobody has open hangs up; a peer that is not there is not polled.
void StreamChannel::look_after_terminal() {
  pollfd query{.fd = peer_.get(), .events = 0, .revents = 0};
  set_connected(poll(&query, 1, 0) >= 0 && (query.revents & POLLHUP) == 0);
}

void StreamChannel::accept_client() {
  peer_ = place_->accept();
  if (peer_.valid()) set_connected(true);
}

void StreamChannel::set_connected(bool connected) {
  if (connected_.exchange(connected) == connected) return;
  out_.clear();  // what was for the last one is not for the next
  std::lock_guard lock(mutex_);
  changed_ = true;
}

/// A terminal stays, for others to open it.
void StreamChannel::lose_peer() {
  if (target_.kind != Kind::kPty) peer_.reset();
  set_connected(false);
}

void StreamChannel::read_some() {
  if (!in_.empty() || target_.kind == Kind::kFile) return;
  in_.resize(kBufferBytes);
  const ssize_t count = read(peer_.get(), in_.data(), in_.size());
  const int error = errno;
  in_.resize(count > 0 ? static_cast<size_t>(count) : 0);
  if (count == 0 || (count < 0 && !would_block(error))) lose_peer();
}

/// What the guest sends. True: there may be more at once.
bool StreamChannel::carry_out() {
  std::lock_guard lock(mutex_);
  if (port_ == nullptr) return false;
  if (std::exchange(changed_, false)) port_->channel_changed();
  for (unsigned round = 0; round < kRounds; ++round) {
    if (out_.empty()) {
      out_.resize(kBufferBytes);
      out_.resize(port_->send_some(out_));
      if (out_.empty()) return false;
    }
    if (!write_some()) return false;
  }
  return true;
}

/// False: the peer takes no more now.
bool StreamChannel::write_some() {
  if (!connected() || !peer_.valid()) {
    out_.clear();
    return true;
  }
  const ssize_t count = target_.kind == Kind::kSocket
                            ? send(peer_.get(), out_.data(), out_.size(), MSG_NOSIGNAL)
                            : write(peer_.get(), out_.data(), out_.size());
  if (count >= 0) {
    out_.erase(out_.begin(), out_.begin() + count);
    return true;
  }
  if (would_block(errno)) return false;
  if (target_.kind == Kind::kFile)
    say(fmt::format("eidolon: '{}' takes no more: {}", target_.path, strerror(errno)));
  // The thread sees the rest: a socket's end is read, a terminal hangs up. A file is done with.
  out_.clear();
  if (target_.kind == Kind::kFile) peer_.reset();
  return true;
}

/// What the guest has no room for waits until it wakes the channel.
bool StreamChannel::carry_in() {
  if (in_.empty()) return false;
  std::lock_guard lock(mutex_);
  if (port_ == nullptr) return false;
  const size_t taken = std::min(port_->receive(in_), in_.size());
  in_.erase(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(taken));
  return in_.empty();
}

}  // namespace eidolon::backend
