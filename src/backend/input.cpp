#include "backend/input.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace eidolon::backend {

bool Input::wants_data() const { return !ended_ && (interactive_ || pending_.size() < kPendingBytes); }

EscapeCommand Input::on_readable() {
  std::array<uint8_t, 1024> buffer;
  const ssize_t count = read(fd_, buffer.data(), buffer.size());
  if (count <= 0) {
    ended_ = count == 0 || (errno != EINTR && errno != EAGAIN);
    return EscapeCommand::kNone;
  }
  EscapeCommand command = EscapeCommand::kNone;
  for (const uint8_t key : std::span(buffer).first(static_cast<size_t>(count))) {
    const EscapeFilter::Verdict verdict =
        interactive_ ? escape_.feed(key) : EscapeFilter::Verdict{.to_guest = key};
    if (verdict.command == EscapeCommand::kQuit) return verdict.command;
    if (verdict.command != EscapeCommand::kNone) command = verdict.command;
    if (verdict.to_guest && (!interactive_ || pending_.size() < kPendingBytes)) {
      pending_.push_back(*verdict.to_guest);
    }
  }
  deliver();
  return command;
}

void Input::deliver() {
  if (pending_.empty() || !receiver_) return;
  const size_t taken = std::min(receiver_(pending_), pending_.size());
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(taken));
}

}  // namespace eidolon::backend
