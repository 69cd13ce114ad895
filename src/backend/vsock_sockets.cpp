#include "backend/vsock_sockets.h"

#include <poll.h>

#include <cerrno>
#include <utility>

#include "backend/line_client.h"
#include "base/try.h"

namespace eidolon::backend {

namespace {

/// So often it is looked whose time has run out, and whether a client can be let in again.
constexpr int kPause = 500;  // ms

}  // namespace

Result<std::unique_ptr<VsockSockets>> VsockSockets::open(const std::string& path, uint32_t cid,
                                                         bool listens) {
  // The longest that a guest can ask for must be a path, too.
  if (!socket_address(path + "_4294967295"))
    return fail(
        "the path '{}' is too long for sockets, with the numbers of ports behind it; name a shorter one",
        path);
  std::optional<SocketPlace> place;
  if (listens)
    place.emplace(EIDOLON_TRY(SocketPlace::listen(
        path, {.other_place = "name another socket with --vsock",
               .taken = "somebody already listens there; name another socket with --vsock"})));
  Wakeup wake = EIDOLON_TRY(Wakeup::create());
  return std::unique_ptr<VsockSockets>(new VsockSockets(path, cid, std::move(place), std::move(wake)));
}

VsockSockets::~VsockSockets() {
  stopping_.store(true);
  wake();
  if (thread_.joinable()) thread_.join();
}

void VsockSockets::start() {
  thread_ = std::thread([this] { serve(); });
}

void VsockSockets::plug(device::virtio::VsockGuest* guest) {
  {
    std::lock_guard lock(mutex_);
    guest_ = guest;
    another_guest_ = true;
  }
  wake();
}

void VsockSockets::serve() {
  std::vector<pollfd> watched;
  bool more = false;
  while (!stopping_.load()) {
    watched.clear();
    bool waits = !may_accept_;
    {
      std::lock_guard lock(mutex_);
      const bool accepts = place_ && may_accept_ && !streams_.full();
      watched.push_back(wake_.watched());
      watched.push_back({.fd = accepts ? place_->fd() : -1, .events = POLLIN, .revents = 0});
      streams_.watch(watched);
      waits = waits || streams_.waits();
    }
    if (poll(watched.data(), watched.size(), more ? 0 : waits ? kPause : -1) < 0) continue;
    may_accept_ = true;
    if (watched[0].revents != 0) wake_.drain();
    const auto now = VsockStreams::Clock::now();
    std::lock_guard lock(mutex_);
    streams_.ready(std::span(watched).subspan(2), now);
    if (std::exchange(another_guest_, false)) streams_.forget();
    if (watched[1].revents != 0) accept_clients(now);
    more = guest_ != nullptr && streams_.exchange(*guest_);
  }
}

void VsockSockets::accept_clients(VsockStreams::Clock::time_point now) {
  while (!streams_.full()) {
    FileDescriptor client = place_->accept();
    if (!client.valid()) {
      // Without a descriptor left, the client stays where it is, and the socket ready.
      may_accept_ = errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS;
      return;
    }
    streams_.add_client(std::move(client), now);
  }
}

}  // namespace eidolon::backend
