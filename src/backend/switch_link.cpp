#include "backend/switch_link.h"

#include <sys/socket.h>

#include "backend/line_client.h"
#include "base/try.h"

namespace eidolon::backend {

namespace {

class Place final : public SwitchLink::Opener {
 public:
  explicit Place(const sockaddr_un& address) : address_(address) {}
  FileDescriptor open() override {
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto* generic = reinterpret_cast<const sockaddr*>(&address_);  // SAFETY: as connect(2) has it
    if (fd.valid() && connect(fd.get(), generic, sizeof address_) != 0) fd.reset();
    return fd;
  }

 private:
  const sockaddr_un address_;
};

}  // namespace

Result<std::unique_ptr<SwitchLink>> SwitchLink::create(const std::string& path, Peer peer) {
  const sockaddr_un address = EIDOLON_TRY(socket_address(path));
  return create(std::make_unique<Place>(address), peer);
}

Result<std::unique_ptr<SwitchLink>> SwitchLink::create(std::unique_ptr<Opener> opener, Peer peer) {
  Wakeup wakeup = EIDOLON_TRY(Wakeup::create());
  return std::unique_ptr<SwitchLink>(new SwitchLink(std::move(wakeup), std::move(opener), peer));
}

bool SwitchLink::open() {
  FileDescriptor fd = opener_->open();
  if (!fd.valid()) return false;
  stream_.emplace(std::move(fd));
  large_ = false;
  if (peer_ == Peer::kSwitch) stream_->queue_greeting(FrameStream::Greeting::kQuestion);
  return true;
}

bool SwitchLink::exchange(bool readable) {
  deliver_frames();
  if (readable && !refused()) {
    if (!stream_->fill()) return false;
    deliver_frames();
  }
  if (stream_->broken()) return false;
  send_frames();
  return stream_->flush();
}

/// Frames that the socket does not take stay in the card, where the guest sees them.
void SwitchLink::send_frames() {
  constexpr unsigned kAtOnce = 256;  // then look after what comes, too
  device::net::Offload offload;
  for (unsigned i = 0; stream_->has_room(); ++i) {
    if (i == kAtOnce) return again();
    if (!next_frame(frame_, offload, large_ || peer_ == Peer::kStack)) return;
    if (peer_ == Peer::kStack) {
      finish_sum(frame_, offload);
      offload = {};
    }
    stream_->queue(frame_, offload);
  }
}

void SwitchLink::deliver_frames() {
  while (const auto frame = stream_->front()) {
    if (peer_ == Peer::kSwitch && FrameStream::is_greeting(*frame, FrameStream::Greeting::kAnswer)) {
      large_ = true;
    } else if (!deliver(*frame, stream_->front_offload())) {
      return;
    }
    stream_->pop();
  }
}

}  // namespace eidolon::backend
