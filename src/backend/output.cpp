#include "backend/output.h"

#include <limits.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace eidolon::backend {

using namespace std::chrono_literals;

DescriptorOutput::DescriptorOutput(FileDescriptor fd, std::function<void(const Error&)> on_failure)
    : fd_(std::move(fd)), on_failure_(std::move(on_failure)), thread_([this] { thread_main(); }) {}

DescriptorOutput::~DescriptorOutput() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  not_empty_.notify_one();
  thread_.join();
}

void DescriptorOutput::write(std::span<const uint8_t> bytes) {
  std::unique_lock lock(mutex_);
  while (!bytes.empty()) {
    not_full_.wait(lock, [this] { return pending_.size() < kBufferBytes || released_ || failed_; });
    if (failed_) return;
    const size_t count = std::min(bytes.size(), kBufferBytes - std::min(pending_.size(), kBufferBytes));
    if (count == 0) return;  // released, and no room
    const bool was_empty = pending_.empty();
    pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
    if (was_empty) not_empty_.notify_one();
    bytes = bytes.subspan(count);
  }
}

void DescriptorOutput::release() {
  std::lock_guard lock(mutex_);
  released_ = true;
  not_full_.notify_all();
}

void DescriptorOutput::thread_main() {
  std::vector<uint8_t> batch;
  std::unique_lock lock(mutex_);
  for (;;) {
    not_empty_.wait(lock, [this] { return !pending_.empty() || closing_; });
    if (pending_.empty()) return;
    if (!closing_) not_empty_.wait_for(lock, 1ms, [this] { return closing_; });
    batch.clear();
    batch.swap(pending_);
    lock.unlock();
    not_full_.notify_all();
    write_out(batch);
    lock.lock();
  }
}

void DescriptorOutput::write_out(std::span<const uint8_t> bytes) {
  while (!bytes.empty() && wait_writable()) {
    // No more than PIPE_BUF at once: after a positive poll() that much never blocks on a pipe.
    const ssize_t count = ::write(fd_.get(), bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(count));
    } else if (errno != EINTR && errno != EAGAIN) {
      const Error error{fmt::format("the serial output takes no more: {}", strerror(errno))};
      {
        std::lock_guard lock(mutex_);
        failed_ = true;
      }
      not_full_.notify_all();
      if (on_failure_) on_failure_(error);
      return;
    }
  }
}

bool DescriptorOutput::wait_writable() {
  for (auto stuck = 0ms;; stuck += 50ms) {
    pollfd query{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
    if (poll(&query, 1, 50) > 0) return true;
    std::lock_guard lock(mutex_);
    if (failed_) return false;
    if (!closing_) stuck = 0ms;
    if (stuck >= 1s) return false;
  }
}

}  // namespace eidolon::backend
