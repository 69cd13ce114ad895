#include "device/worker_pool.h"

namespace eidolon::device {

void WorkerPool::stop() {
  {
    const Lock lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool WorkerPool::hold(std::chrono::milliseconds patience) {
  Lock lock(mutex_);
  ++holds_;
  if (idle_.wait_for(lock, patience, [this] { return busy_ == 0; })) return true;
  resume();
  return false;
}

void WorkerPool::release() {
  const Lock lock(mutex_);
  resume();
}

void WorkerPool::wake() {
  if (threads_.empty() && !stopping_)
    for (unsigned i = 0; i < thread_count_; ++i) threads_.emplace_back([this] { thread_main(); });
  work_.notify_one();
}

void WorkerPool::quiesce(Lock& lock) {
  ++holds_;
  idle_.wait(lock, [this] { return busy_ == 0; });
}

void WorkerPool::resume() {
  if (--holds_ == 0) work_.notify_all();
}

void WorkerPool::thread_main() {
  Lock lock(mutex_);
  while (!stopping_) {
    bool worked = false;
    if (holds_ == 0) {
      ++busy_;
      worked = step_(lock);
      if (--busy_ == 0) idle_.notify_all();
    }
    if (!worked && !stopping_) work_.wait(lock);
  }
}

}  // namespace eidolon::device
