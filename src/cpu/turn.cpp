#include "cpu/turn.h"

#include <sched.h>

namespace eidolon::cpu {

void Turn::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !taken_ && visitors_ == 0; });
  taken_ = true;
}

void Turn::give() {
  {
    std::lock_guard lock(mutex_);
    taken_ = false;
  }
  changed_.notify_all();
}

void Turn::give_way() {
  aside([] { sched_yield(); });
}

void Turn::enter() {
  std::unique_lock lock(mutex_);
  ++visitors_;
  if (taken_) events_.raise(kEventTurn);
  changed_.wait(lock, [this] { return !taken_; });
  --visitors_;
  taken_ = true;
}

}  // namespace eidolon::cpu
