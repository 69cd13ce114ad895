#include "backend/frame_stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

namespace eidolon::backend {

using device::net::kOffloadBytes;
using device::net::Offload;

namespace {

constexpr uint32_t kUnfinished = 1u << 31;

// A group that is for one link only, an address that nobody has, and the type for local experiments.
constexpr std::array<uint8_t, device::net::kHeaderBytes> kGreetingHeader = {
    0x01, 0x80, 0xc2, 0, 0, 0x0f, 0x52, 0x54, 0, 0, 0, 0, 0x88, 0xb5};
constexpr std::string_view kQuestion = "eidolon: large frames, version 1, are welcome?";
constexpr std::string_view kAnswer = "eidolon: large frames, version 1, welcome here";
static_assert(kQuestion.size() == 46 && kAnswer.size() == 46);  // as long as a frame has to be

std::vector<uint8_t> greeting(FrameStream::Greeting which) {
  const std::string_view text = which == FrameStream::Greeting::kQuestion ? kQuestion : kAnswer;
  std::vector<uint8_t> frame(device::net::kShortestFrame);
  std::ranges::copy(kGreetingHeader, frame.begin());
  std::ranges::copy(text, frame.begin() + kGreetingHeader.size());
  return frame;
}

constexpr size_t kLengthBytes = 4, kReadBytes = 64 << 10;

/// Makes the vector begin with what is still wanted of it.
void drop_front(std::vector<uint8_t>& bytes, size_t& done) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(done));
  done = 0;
}

}  // namespace

void FrameStream::queue(std::span<const uint8_t> frame, const Offload& offload) {
  const bool finished = offload.finished();
  const size_t length = frame.size() + (finished ? 0 : kOffloadBytes);
  const auto word = static_cast<uint32_t>(length) | (finished ? 0 : kUnfinished);
  for (unsigned i = 0; i < kLengthBytes; ++i)
    out_.push_back(static_cast<uint8_t>(word >> (8 * (kLengthBytes - 1 - i))));
  if (!finished) {
    const device::net::OffloadBytes left = encode(offload, 0);
    out_.insert(out_.end(), left.begin(), left.end());
  }
  out_.insert(out_.end(), frame.begin(), frame.end());
}

void FrameStream::queue_greeting(Greeting which) { queue(greeting(which)); }

bool FrameStream::is_greeting(std::span<const uint8_t> frame, Greeting which) {
  return frame.size() == device::net::kShortestFrame && std::ranges::equal(frame, greeting(which));
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
  if (in_.size() - taken_ < kLengthBytes) return false;
  if (front_length() > kMostFrame) return true;
  if (!front_is_unfinished()) return false;
  if (front_length() < kOffloadBytes) return true;
  const auto frame = whole_front();
  return frame && !check(*frame, front_offload());
}

/// There are four bytes.
uint32_t FrameStream::front_word() const { return device::net::get_32(in_, taken_); }
size_t FrameStream::front_length() const { return front_word() & ~kUnfinished; }
bool FrameStream::front_is_unfinished() const { return (front_word() & kUnfinished) != 0; }

std::optional<std::span<const uint8_t>> FrameStream::whole_front() const {
  const size_t before = kLengthBytes + (front_is_unfinished() ? kOffloadBytes : 0);
  const size_t end = kLengthBytes + front_length();
  if (in_.size() - taken_ < end) return std::nullopt;
  return std::span(in_).subspan(taken_ + before, end - before);
}

std::optional<std::span<const uint8_t>> FrameStream::front() const {
  if (in_.size() - taken_ < kLengthBytes || broken()) return std::nullopt;
  return whole_front();
}

Offload FrameStream::front_offload() const {
  if (!front_is_unfinished()) return {};
  const std::span<const uint8_t> bytes = std::span(in_).subspan(taken_ + kLengthBytes);
  // What is unknown is nothing that check() lets pass.
  return device::net::decode(bytes.first<kOffloadBytes>()).value_or(Offload{.cut = device::net::Cut::kTcp4});
}

void FrameStream::pop() { taken_ += kLengthBytes + front_length(); }

}  // namespace eidolon::backend
