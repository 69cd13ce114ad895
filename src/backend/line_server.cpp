#include "backend/line_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <vector>

#include "base/try.h"

namespace eidolon::backend {

namespace {

constexpr SocketPlace::Advice kAdvice = {
    .other_place = "name another place with --control PATH",
    .taken = "a machine already listens there; give this one another --name"};

/// One client: what it has sent of a line, and what it has not yet taken of the answers.
struct Client {
  FileDescriptor fd;
  std::string in;
  std::string out;
  bool ended = false;  ///< it sends no more

  /// False when the connection is over.
  bool receive(const LineServer::Handler& handler);
  bool send_some();
  bool answer(const LineServer::Handler& handler);
};

bool Client::receive(const LineServer::Handler& handler) {
  char buffer[16384];
  const ssize_t count = read(fd.get(), buffer, sizeof buffer);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) {
    ended = true;
    return !out.empty();
  }
  in.append(buffer, static_cast<size_t>(count));
  return answer(handler);
}

bool Client::answer(const LineServer::Handler& handler) {
  for (size_t end; out.empty() && (end = in.find('\n')) != in.npos;) {
    const std::string line = in.substr(0, end);
    in.erase(0, end + 1);
    try {
      out += handler(line) + "\n";
    } catch (const std::exception&) {
      return false;
    }
    if (!send_some()) return false;
  }
  return in.size() <= LineServer::kLongestLine;
}

bool Client::send_some() {
  const ssize_t count = send(fd.get(), out.data(), out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  out.erase(0, static_cast<size_t>(count));
  return true;
}

void accept_client(const SocketPlace& place, std::vector<Client>& clients) {
  FileDescriptor fd = place.accept();
  if (fd.valid() && clients.size() < LineServer::kMostClients)
    clients.push_back(Client{.fd = std::move(fd), .in = {}, .out = {}});
}

}  // namespace

Result<std::unique_ptr<LineServer>> LineServer::create(const std::string& path, Handler handler) {
  SocketPlace place = EIDOLON_TRY(SocketPlace::listen(path, kAdvice));
  Wakeup wake = EIDOLON_TRY(Wakeup::create());
  return std::unique_ptr<LineServer>(new LineServer(std::move(place), std::move(wake), std::move(handler)));
}

void remove_stale_socket(const std::string& path) { SocketPlace::clear(path); }

LineServer::LineServer(SocketPlace place, Wakeup wake, Handler handler)
    : place_(std::move(place)), wake_(std::move(wake)), handler_(std::move(handler)) {
  thread_ = std::thread([this] { serve(); });
}

LineServer::~LineServer() {
  wake_.raise();
  thread_.join();
}

void LineServer::serve() {
  std::vector<Client> clients;
  for (;;) {
    std::vector<pollfd> watched = {wake_.watched(), {.fd = place_.fd(), .events = POLLIN, .revents = 0}};
    for (const Client& client : clients) {
      // A client that does not take its answers is not read either.
      const short events = client.out.empty() ? POLLIN : POLLOUT;
      watched.push_back({.fd = client.fd.get(), .events = events, .revents = 0});
    }
    if (poll(watched.data(), watched.size(), -1) < 0) continue;
    if (watched[0].revents != 0) return;
    for (size_t i = clients.size(); i-- > 0;) {
      const short ready = watched[i + 2].revents;
      if (ready == 0) continue;
      Client& client = clients[i];
      bool goes_on = (ready & (POLLIN | POLLOUT)) != 0;
      if ((ready & POLLOUT) != 0) goes_on = client.send_some() && client.answer(handler_);
      if (goes_on && (ready & POLLIN) != 0) goes_on = client.receive(handler_);
      if (client.ended && client.out.empty()) goes_on = false;
      if (!goes_on) clients.erase(clients.begin() + static_cast<ptrdiff_t>(i));
    }
    if (watched[1].revents != 0) accept_client(place_, clients);
  }
}

}  // namespace eidolon::backend
