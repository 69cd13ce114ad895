#include "cpu/event_flags.h"

namespace eidolon::cpu {

void EventFlags::raise(uint32_t events) {
  word_.fetch_or(events, std::memory_order_seq_cst);
  if (kick_.load(std::memory_order_relaxed) != nullptr) [[unlikely]] {
    const std::lock_guard lock(mutex_);
    if (Kick* kick = kick_.load(std::memory_order_relaxed)) kick->kick();
  }
  if (!sleeping_.load(std::memory_order_seq_cst)) return;
  // The lock orders this after the sleeper's last look at the word.
  { std::lock_guard lock(mutex_); }
  wake_.notify_one();
}

void EventFlags::set_kick(Kick* kick) {
  const std::lock_guard lock(mutex_);
  kick_.store(kick, std::memory_order_relaxed);
}

void EventFlags::wait() {
  std::unique_lock lock(mutex_);
  sleeping_.store(true, std::memory_order_seq_cst);
  wake_.wait(lock, [this] { return word_.load(std::memory_order_seq_cst) != 0; });
  sleeping_.store(false, std::memory_order_relaxed);
}

}  // namespace eidolon::cpu
