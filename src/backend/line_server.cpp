#include "backend/line_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <vector>

#include "backend/line_client.h"
#include "base/try.h"

namespace eidolon::backend {

namespace {

/// One after the other, so that no two processes find the same stale socket and replace each other's.
Result<FileDescriptor> lock_directory(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == path.npos ? "." : path.substr(0, slash + 1);
  FileDescriptor fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || flock(fd.get(), LOCK_EX) != 0)
    return fail("cannot put a socket into '{}' ({}); name another place with --control PATH", directory,
                strerror(errno));
  return fd;
}

Result<> clear_place(const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode))
    return fail("'{}' exists and is no socket; name another one with --control PATH", path);
  if (is_served(path)) return fail("a machine already listens on '{}'; give this one another --name", path);
  if (unlink(path.c_str()) != 0)
    return fail("cannot remove the old socket '{}' ({}); remove it yourself", path, strerror(errno));
  return {};
}

Result<FileDescriptor> listen_at(const std::string& path) {
  const sockaddr_un address = EIDOLON_TRY(socket_address(path));
  FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail("cannot make a socket ({}); raise the limit on open files", strerror(errno));
  // Nobody can connect before listen(), and by then the file is ours alone.
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);  // SAFETY: as bind(2) has it
  if (bind(fd.get(), generic, sizeof address) != 0 || chmod(path.c_str(), 0600) != 0 ||
      listen(fd.get(), 16) != 0)
    return fail("cannot listen on '{}' ({}); name another socket with --control PATH", path, strerror(errno));
  return fd;
}

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

/// Only this user's processes, whatever the file's mode: the directory may be on a file system that has none.
bool is_ours(int fd) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
         (peer.uid == geteuid() || peer.uid == 0);
}

void accept_client(int listener, std::vector<Client>& clients) {
  FileDescriptor fd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd.valid() && clients.size() < LineServer::kMostClients && is_ours(fd.get()))
    clients.push_back(Client{.fd = std::move(fd), .in = {}, .out = {}});
}

}  // namespace

Result<std::unique_ptr<LineServer>> LineServer::create(const std::string& path, Handler handler) {
  const FileDescriptor lock = EIDOLON_TRY(lock_directory(path));
  EIDOLON_TRY(clear_place(path));
  FileDescriptor listener = EIDOLON_TRY(listen_at(path));
  FileDescriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid())
    return fail("cannot make an event descriptor ({}); raise the limit on open files", strerror(errno));
  return std::unique_ptr<LineServer>(
      new LineServer(path, std::move(listener), std::move(wake), std::move(handler)));
}

void remove_stale_socket(const std::string& path) {
  const auto lock = lock_directory(path);
  if (lock) (void)clear_place(path);
}

LineServer::LineServer(std::string path, FileDescriptor listener, FileDescriptor wake, Handler handler)
    : path_(std::move(path)),
      listener_(std::move(listener)),
      wake_(std::move(wake)),
      handler_(std::move(handler)) {
  struct stat made {};
  if (lstat(path_.c_str(), &made) == 0) {
    device_ = made.st_dev;
    inode_ = made.st_ino;
  }
  thread_ = std::thread([this] { serve(); });
}

LineServer::~LineServer() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
  thread_.join();
  struct stat found {};
  if (lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_)
    unlink(path_.c_str());
}

void LineServer::serve() {
  std::vector<Client> clients;
  for (;;) {
    std::vector<pollfd> watched = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                   {.fd = listener_.get(), .events = POLLIN, .revents = 0}};
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
    if (watched[1].revents != 0) accept_client(listener_.get(), clients);
  }
}

}  // namespace eidolon::backend
