#include "backend/cable.h"

#include <array>

namespace eidolon::backend {

namespace {
constexpr int kTryAgainMs = 1000;
}

void Cable::stop() {
  stopping_.store(true);
  wakeup_.raise();
  if (thread_.joinable()) thread_.join();
}

void Cable::plug(device::net::Card* card) {
  std::lock_guard lock(card_mutex_);
  card_ = card;
  if (card_ != nullptr) card_->set_link(up_);
}

void Cable::wake() {
  std::call_once(started_, [this] { thread_ = std::thread([this] { thread_main(); }); });
  wakeup_.raise();
}

void Cable::let_go() {
  std::unique_lock lock(away_mutex_);
  away_ = true;
  wake();
  away_changed_.wait(lock, [this] { return let_go_; });
}

bool Cable::take_back() {
  {
    const std::lock_guard lock(away_mutex_);
    away_ = let_go_ = false;
  }
  wake();
  return true;  // what is not there makes the link go down, and may come back
}

void Cable::thread_main() {
  while (!stopping_.load()) {
    {
      const std::lock_guard lock(away_mutex_);
      if (away_ && open_) end_connection();
      if (away_) close();  // what create() has opened, too
      let_go_ = away_;
      if (!away_ && !open_ && open()) {
        open_ = true;
        refused_ = readable_ = hung_up_ = false;
        delivery_.forget();
        set_link(true);
      }
    }
    away_changed_.notify_all();
    if (open_ && ((refused_ && hung_up_) || !exchange(readable_))) end_connection();
    wait();
  }
}

void Cable::end_connection() {
  open_ = false;
  close();
  set_link(false);
}

void Cable::set_link(bool up) {
  std::lock_guard lock(card_mutex_);
  up_ = up;
  if (card_ != nullptr) card_->set_link(up);
}

bool Cable::next_frame(std::vector<uint8_t>& frame, device::net::Offload& offload, bool large) {
  std::lock_guard lock(card_mutex_);
  if (card_ == nullptr) return false;
  if (large) return card_->next_large(frame, offload);
  offload = {};
  return card_->next_frame(frame);
}

bool Cable::deliver(std::span<const uint8_t> frame, const device::net::Offload& offload) {
  std::lock_guard lock(card_mutex_);
  refused_ = card_ != nullptr && !delivery_.deliver(*card_, frame, offload);
  return !refused_;
}

void Cable::wait() {
  std::array<pollfd, 2> watched = {{wakeup_.watched(), {.fd = -1, .events = 0, .revents = 0}}};
  if (open_) {
    // A card without room keeps what has come where it is.
    const int events = (refused_ ? 0 : POLLIN) | (has_queued() ? POLLOUT : 0);
    watched[1] = {.fd = fd(), .events = static_cast<short>(events), .revents = 0};
  }
  (void)poll(watched.data(), watched.size(), open_ ? -1 : kTryAgainMs);
  hung_up_ = (watched[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
  readable_ = hung_up_ || (watched[1].revents & POLLIN) != 0;
  if (watched[0].revents != 0) wakeup_.drain();
}

}  // namespace eidolon::backend
