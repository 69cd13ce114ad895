// A network card that sends what it is given, and takes frames while it has room.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "device/net/link.h"

namespace eidolon::backend {

using Frame = std::vector<uint8_t>;

class TestCard final : public device::net::Card {
 public:
  bool next_frame(Frame& frame) override {
    std::lock_guard lock(mutex_);
    if (to_send.empty()) return false;
    frame = to_send.front();
    to_send.pop_front();
    return true;
  }
  bool receive(std::span<const uint8_t> frame) override {
    std::lock_guard lock(mutex_);
    refused = !room;
    if (room) received.emplace_back(frame.begin(), frame.end());
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
  template <typename Change>
  void change(Change body) {
    std::lock_guard lock(mutex_);
    body();
  }
  std::deque<Frame> to_send;
  std::vector<Frame> received;
  bool room = true;
  bool refused = false;
  std::optional<bool> link;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace eidolon::backend
