#include "backend/stdio_channel.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace eidolon::backend {

namespace {

device::TextSize terminal_size() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return {.columns = size.ws_col, .rows = size.ws_row};
}

}  // namespace

StdioChannel::StdioChannel(Console& user) : user_(user) { size_.store(terminal_size()); }

StdioChannel::~StdioChannel() {
  {
    std::lock_guard lock(wake_mutex_);
    stopping_ = true;
  }
  woken_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void StdioChannel::start() {
  thread_ = std::thread([this] { serve(); });
}

void StdioChannel::plug(device::Port* port) {
  {
    std::lock_guard lock(mutex_);
    port_ = port;
  }
  wake();
}

/// There may be something to write, and room for keys that the console has kept.
void StdioChannel::wake() {
  {
    std::lock_guard lock(wake_mutex_);
    awake_ = true;
  }
  woken_.notify_one();
  user_.wake();
}

std::optional<device::TextSize> StdioChannel::size() const {
  const device::TextSize size = size_.load();
  return size == device::TextSize{} ? std::nullopt : std::optional(size);
}

size_t StdioChannel::receive(std::span<const uint8_t> bytes) {
  std::lock_guard lock(mutex_);
  return port_ == nullptr ? 0 : port_->receive(bytes);
}

void StdioChannel::look_at_size() {
  const device::TextSize now = terminal_size();
  if (size_.exchange(now) == now) return;
  std::lock_guard lock(mutex_);
  if (port_ != nullptr) port_->channel_changed();
}

/// Waits for the output, which waits for its reader, with no lock held.
void StdioChannel::serve() {
  std::array<uint8_t, 4096> bytes;
  for (;;) {
    {
      std::unique_lock lock(wake_mutex_);
      woken_.wait(lock, [this] { return awake_ || stopping_; });
      if (stopping_) return;
      awake_ = false;
    }
    for (size_t count = 1; count != 0;) {
      {
        std::lock_guard lock(mutex_);
        count = port_ == nullptr ? 0 : port_->send_some(bytes);
      }
      if (count != 0) user_.output().write(std::span(bytes).first(count));
    }
  }
}

}  // namespace eidolon::backend
