#include "migration/listener.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/try.h"

namespace eidolon::migration {

namespace {

Result<FileDescriptor> listen_tcp(const Place& place) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int problem = getaddrinfo(place.host.c_str(), place.port.c_str(), &hints, &found); problem != 0)
    return fail("cannot find '{}' ({})", place.host, gai_strerror(problem));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, freeaddrinfo);
  FileDescriptor socket(::socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  if (socket.valid()) (void)setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (!socket.valid() || bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      listen(socket.get(), 4) != 0)
    return fail("cannot listen at {} ({}); name another place", to_string(place), strerror(errno));
  return socket;
}

}  // namespace

Result<Listener> Listener::create(const Place& place) {
  Listener listener;
  if (place.kind == Place::Kind::kUnix)
    listener.unix_.emplace(EIDOLON_TRY(backend::SocketPlace::listen(
        place.path, {.other_place = "name another place",
                     .taken = "somebody already listens there; name another place"})));
  else
    listener.tcp_ = EIDOLON_TRY(listen_tcp(place));
  return listener;
}

FileDescriptor Listener::accept() const {
  for (;;) {
    pollfd watched{fd(), POLLIN, 0};
    (void)poll(&watched, 1, -1);
    FileDescriptor socket = accept_now();
    if (socket.valid()) return socket;
  }
}

FileDescriptor Listener::accept_now() const {
  if (unix_) return unix_->accept();
  return FileDescriptor(accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

}  // namespace eidolon::migration
