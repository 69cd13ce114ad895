#include "backend/switch_link.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "backend/line_client.h"
#include "base/try.h"

namespace eidolon::backend {

namespace {
constexpr int kTryAgainMs = 1000;
}

Result<std::unique_ptr<SwitchLink>> SwitchLink::create(const std::string& path) {
  EIDOLON_TRY(socket_address(path));
  Wakeup wakeup = EIDOLON_TRY(Wakeup::create());
  return std::unique_ptr<SwitchLink>(new SwitchLink(std::move(wakeup), path));
}

SwitchLink::~SwitchLink() {
  stopping_.store(true);
  wake_thread();
  if (thread_.joinable()) thread_.join();
}

void SwitchLink::plug(device::net::Card* card) {
  std::lock_guard lock(card_mutex_);
  card_ = card;
  if (card_ != nullptr) card_->set_link(up_);
}

void SwitchLink::wake() {
  std::call_once(started_, [this] { thread_ = std::thread([this] { thread_main(); }); });
  wake_thread();
}

void SwitchLink::wake_thread() { wakeup_.raise(); }

void SwitchLink::thread_main() {
  while (!stopping_.load()) {
    if (!stream_) try_to_connect();
    if (stream_ && !exchange()) {
      stream_.reset();
      set_link(false);
    }
    wait();
  }
}

void SwitchLink::try_to_connect() {
  const auto address = socket_address(path_);
  FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);  // SAFETY: as connect(2) has it
  if (!fd.valid() || connect(fd.get(), generic, sizeof *address) != 0) return;
  stream_.emplace(std::move(fd));
  refused_ = readable_ = hung_up_ = false;
  set_link(true);
}

void SwitchLink::set_link(bool up) {
  std::lock_guard lock(card_mutex_);
  up_ = up;
  if (card_ != nullptr) card_->set_link(up);
}

bool SwitchLink::exchange() {
  deliver();
  if (refused_ && hung_up_) return false;
  if (readable_ && !refused_) {
    if (!stream_->fill()) return false;
    deliver();
  }
  if (stream_->broken()) return false;
  send_frames();
  return stream_->flush();
}

/// Frames that the socket does not take stay in the card, where the guest sees them.
void SwitchLink::send_frames() {
  constexpr unsigned kAtOnce = 256;  // then look after what comes, too
  std::lock_guard lock(card_mutex_);
  for (unsigned i = 0; card_ != nullptr && stream_->has_room(); ++i) {
    if (i == kAtOnce) return wake_thread();
    if (!card_->next_frame(frame_)) return;
    stream_->queue(frame_);
  }
}

void SwitchLink::deliver() {
  std::lock_guard lock(card_mutex_);
  refused_ = false;
  while (const auto frame = stream_->front()) {
    if (card_ != nullptr && !card_->receive(*frame)) {
      refused_ = true;
      return;
    }
    stream_->pop();
  }
}

void SwitchLink::wait() {
  std::array<pollfd, 2> watched = {{wakeup_.watched(), {.fd = -1, .events = 0, .revents = 0}}};
  if (stream_) {
    // A card without room keeps what has come where it is.
    const int events = (refused_ ? 0 : POLLIN) | (stream_->has_queued() ? POLLOUT : 0);
    watched[1] = {.fd = stream_->fd(), .events = static_cast<short>(events), .revents = 0};
  }
  (void)poll(watched.data(), watched.size(), stream_ ? -1 : kTryAgainMs);
  hung_up_ = (watched[1].revents & (POLLHUP | POLLERR)) != 0;
  readable_ = hung_up_ || (watched[1].revents & POLLIN) != 0;
  if (watched[0].revents != 0) wakeup_.drain();
}

}  // namespace eidolon::backend
