// A network card that sends what it is given, and takes frames while it has room.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "device/net/offload.h"

namespace eidolon::backend {

using Frame = std::vector<uint8_t>;

class TestCard final : public device::net::Card {
 public:
  bool next_frame(Frame& frame) override {
    device::net::Offload finished;
    return next_large(frame, finished);
  }
  /// Each is as `sends` says.
  bool next_large(Frame& frame, device::net::Offload& offload) override {
    std::lock_guard lock(mutex_);
    if (to_send.empty()) return false;
    offload = sends;
    frame = to_send.front();
    to_send.pop_front();
    return true;
  }
  bool receive(std::span<const uint8_t> frame) override { return receive_large(frame, {}); }
  bool takes(const device::net::Offload& offload) override { return takes_large || offload.finished(); }
  bool receive_large(std::span<const uint8_t> frame, const device::net::Offload& offload) override {
    std::lock_guard lock(mutex_);
    refused = !room;
    if (room) received.emplace_back(frame.begin(), frame.end());
    if (room) last_offload = offload;
    changed_.notify_all();
    return room;
  }
  void set_link(bool up) override {
    std::lock_guard lock(mutex_);
    link = up;
    changed_.notify_all();
  }
  /// False after twenty seconds.
  template <typename Condition>
  bool wait_for(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), condition);
  }
  /// As it is at the moment.
  template <typename Condition>
  bool holds(Condition condition) {
    std::lock_guard lock(mutex_);
    return condition();
  }
  template <typename Change>
  void change(Change body) {
    std::lock_guard lock(mutex_);
    body();
  }
  std::deque<Frame> to_send;
  std::vector<Frame> received;
  device::net::Offload sends, last_offload;
  bool takes_large = false;
  bool room = true;
  bool refused = false;
  std::optional<bool> link;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace eidolon::backend
