#include "device/virtio/request_device.h"

#include <algorithm>

namespace eidolon::device::virtio {

void RequestDevice::stop_threads() {
  {
    const Lock held = lock();
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void RequestDevice::queue_notified(unsigned queue) {
  if (queue >= pending_.size()) return;
  pending_[queue] = true;
  work_.notify_one();
}

void RequestDevice::driver_ready() {
  std::fill(pending_.begin(), pending_.end(),
            true);  // what was made available before, or came with a snapshot
  if (threads_.empty() && !stopping_)
    for (unsigned i = 0; i < thread_count_; ++i) threads_.emplace_back([this] { thread_main(); });
  work_.notify_all();
}

void RequestDevice::quiesce() {
  Lock held = lock();
  ++holds_;
  idle_.wait(held, [this] { return busy_ == 0; });
}

void RequestDevice::resume() {
  {
    const Lock held = lock();
    --holds_;
  }
  work_.notify_all();
}

bool RequestDevice::next(unsigned& queue, Chain& chain) {
  for (queue = 0; queue < pending_.size(); ++queue) {
    if (!pending_[queue]) continue;
    if (take(queue, chain)) return true;
    if (rearm(queue) && take(queue, chain)) return true;
    pending_[queue] = false;
  }
  return false;
}

void RequestDevice::thread_main() {
  Chain chain;
  Lock held = lock();
  while (!stopping_) {
    unsigned queue = 0;
    if (holds_ != 0 || !next(queue, chain)) {
      work_.wait(held);
      continue;
    }
    if (std::count(pending_.begin(), pending_.end(), true) != 0) work_.notify_one();  // there may be more
    ++busy_;
    held.unlock();
    const uint32_t written = execute(queue, chain);
    held.lock();
    --busy_;
    give_back(queue, chain, written);
    signal(queue);
    if (busy_ == 0) idle_.notify_all();
  }
}

}  // namespace eidolon::device::virtio
