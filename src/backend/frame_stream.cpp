#include "backend/frame_stream.h"

#include <sys/socket.h>

#include <cerrno>

namespace eidolon::backend {

namespace {

constexpr size_t kLengthBytes = 4, kReadBytes = 64 << 10;

/// Makes the vector begin with what is still wanted of it.
void drop_front(std::vector<uint8_t>& bytes, size_t& done) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(done));
  done = 0;
}

}  // namespace

void FrameStream::queue(std::span<const uint8_t> frame) {
  for (unsigned i = 0; i < kLengthBytes; ++i)
    out_.push_back(static_cast<uint8_t>(frame.size() >> (8 * (kLengthBytes - 1 - i))));
  out_.insert(out_.end(), frame.begin(), frame.end());
}

bool FrameStream::flush() {
  while (has_queued()) {
    const ssize_t count =
        send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      if (sent_ > kMostQueued) drop_front(out_, sent_);
      return errno == EAGAIN || errno == EWOULDBLOCK;
    }
    sent_ += static_cast<size_t>(count);
  }
  out_.clear();
  sent_ = 0;
  return true;
}

bool FrameStream::fill() {
  drop_front(in_, taken_);
  const size_t had = in_.size();
  in_.resize(had + kReadBytes);
  ssize_t count;
  do {
    count = recv(fd_.get(), in_.data() + had, kReadBytes, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  in_.resize(had + static_cast<size_t>(count < 0 ? 0 : count));
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

bool FrameStream::broken() const {
  return in_.size() - taken_ >= kLengthBytes && front_length() > kMostFrame;
}

/// There are four bytes.
size_t FrameStream::front_length() const {
  size_t length = 0;
  for (unsigned i = 0; i < kLengthBytes; ++i) length = length << 8 | in_[taken_ + i];
  return length;
}

std::optional<std::span<const uint8_t>> FrameStream::front() const {
  if (in_.size() - taken_ < kLengthBytes) return std::nullopt;
  const size_t length = front_length();
  if (broken() || in_.size() - taken_ - kLengthBytes < length) return std::nullopt;
  return std::span(in_).subspan(taken_ + kLengthBytes, length);
}

void FrameStream::pop() { taken_ += kLengthBytes + front_length(); }

}  // namespace eidolon::backend
