#include "control/gdb_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "backend/terminal.h"
#include "base/try.h"
#include "control/gdb_packets.h"
#include "control/gdb_session.h"

namespace eidolon::control {

using machine::Debugger;

Result<migration::Place> parse_gdb_place(std::string_view text) {
  auto place = migration::parse_place(text);
  if (!place) return fail("--gdb takes unix:PATH or tcp:HOST:PORT, not '{}'", text);
  if (!migration::stays_here(*place))
    return fail("--gdb '{}' would let the network into the guest; use tcp:127.0.0.1:PORT and come by ssh -L",
                text);
  return *std::move(place);
}

/// A connection, with what it has sent and not yet taken.
class GdbServer::Client {
 public:
  Client(FileDescriptor fd, GdbTarget& target) : session_(target), fd_(std::move(fd)) {}

  [[nodiscard]] pollfd watched() const {
    // One that does not take its answers is not read either.
    const short events = out_.empty() ? POLLIN : POLLOUT;
    return {.fd = fd_.get(), .events = events, .revents = 0};
  }
  /// False: the connection is over.
  [[nodiscard]] bool serve(short ready);
  void look_for_stop() { send(session_.look_for_stop()); }
  void say_end() {
    send(session_.end());
    (void)send_some();
  }
  [[nodiscard]] bool send_some();
  [[nodiscard]] const GdbSession& session() const { return session_; }

 private:
  [[nodiscard]] bool receive();
  [[nodiscard]] bool take(GdbPacketReader::Kind what);
  void send(const std::optional<std::string>& text);
  void acknowledge(char with) {
    if (!session_.without_acks()) out_.push_back(with);
  }

  GdbSession session_;
  FileDescriptor fd_;
  GdbPacketReader reader_;
  std::string out_;
  std::string last_;  ///< packet that was sent, for who did not get it
};

bool GdbServer::Client::serve(short ready) {
  if ((ready & (POLLIN | POLLOUT)) == 0) return false;
  if ((ready & POLLOUT) != 0 && !send_some()) return false;
  return (ready & POLLIN) == 0 || receive();
}

bool GdbServer::Client::receive() {
  char buffer[4096];
  const ssize_t count = read(fd_.get(), buffer, sizeof buffer);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  for (const char byte : std::string_view(buffer, static_cast<size_t>(count))) {
    const auto what = reader_.put(static_cast<uint8_t>(byte));
    if (what && !take(*what)) return false;
  }
  return send_some();
}

/// False: this client breaks the rules.
bool GdbServer::Client::take(GdbPacketReader::Kind what) {
  using Kind = GdbPacketReader::Kind;
  constexpr size_t kMostWaiting = size_t{1} << 20;  // of answers to what was read at once
  switch (what) {
    case Kind::kPacket:
      acknowledge('+');
      send(session_.answer(reader_.text()));
      break;
    case Kind::kInterrupt:
      send(session_.interrupt());
      break;
    case Kind::kAck:
      break;
    case Kind::kNack:
      if (!session_.without_acks()) out_ += last_;
      break;
    case Kind::kCorrupt:
      acknowledge('-');
      break;
    case Kind::kTooLong:
      backend::say("eidolon: a debugger sent a packet without end, and its connection was closed");
      return false;
  }
  if (out_.size() <= kMostWaiting) return true;
  backend::say("eidolon: a debugger asked for more than it took, and its connection was closed");
  return false;
}

void GdbServer::Client::send(const std::optional<std::string>& text) {
  if (!text) return;
  last_ = gdb_packet(*text);
  out_ += last_;
}

bool GdbServer::Client::send_some() {
  if (out_.empty()) return true;
  const ssize_t count = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  out_.erase(0, static_cast<size_t>(count));
  return true;
}

Result<std::unique_ptr<GdbServer>> GdbServer::create(const migration::Place& place, bool waits) {
  auto listener = EIDOLON_TRY(migration::Listener::create(place));
  backend::Wakeup wake = EIDOLON_TRY(backend::Wakeup::create());
  return std::unique_ptr<GdbServer>(new GdbServer(std::move(listener), std::move(wake), waits));
}

GdbServer::GdbServer(migration::Listener listener, backend::Wakeup wake, bool waits)
    : listener_(std::move(listener)),
      wake_(std::move(wake)),
      waits_(waits),
      machine_([this] { wake_.raise(); }) {
  thread_ = std::thread([this] { serve(); });
}

GdbServer::~GdbServer() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.raise();
  thread_.join();
  if (client_ != nullptr) client_->say_end();
}

void GdbServer::begin(machine::Machine& machine) {
  std::lock_guard lock(mutex_);
  const bool attached = client_ != nullptr && client_->session().attached();
  const bool stands = attached ? !client_->session().running() : waits_;
  machine_.begin(machine, stands ? Debugger::Start::kStands : Debugger::Start::kRuns,
                 attached ? client_->session().breakpoints() : std::vector<uint64_t>());
  waits_ = false;
}

void GdbServer::end() {
  std::lock_guard lock(mutex_);
  machine_.end();
}

void GdbServer::serve() {
  for (;;) {
    std::unique_lock lock(mutex_);
    if (closing_) return;
    // While there is a client, the next one waits in the socket's queue.
    pollfd watched[] = {wake_.watched(), {.fd = listener_.fd(), .events = POLLIN, .revents = 0}};
    if (client_ != nullptr) watched[1] = client_->watched();
    lock.unlock();
    if (poll(watched, std::size(watched), -1) < 0) continue;
    lock.lock();
    if (watched[0].revents != 0) wake_.drain();
    if (client_ == nullptr) {
      if (watched[1].revents != 0) accept_client();
      continue;
    }
    client_->look_for_stop();
    const bool goes_on = watched[1].revents == 0 ? client_->send_some() : client_->serve(watched[1].revents);
    if (!goes_on) client_.reset();
  }
}

void GdbServer::accept_client() {
  FileDescriptor fd = listener_.accept_now();
  if (!fd.valid()) return;
  const int yes = 1;
  (void)setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  client_ = std::make_unique<Client>(std::move(fd), machine_);
}

}  // namespace eidolon::control
