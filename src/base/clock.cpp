#include "base/clock.h"

#include <sys/prctl.h>
#include <time.h>

#include <chrono>

namespace eidolon {

namespace {
Nanoseconds host_now() {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return Nanoseconds{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec;
}
}  // namespace

HostClock::HostClock() : offset_(host_now()) {}

Nanoseconds HostClock::now() const {
  const Nanoseconds paused = paused_at_.load(std::memory_order_acquire);
  return paused >= 0 ? paused : host_now() - offset_.load(std::memory_order_acquire);
}

void HostClock::pause() {
  if (paused_at_.load() < 0) paused_at_.store(now());
}

void HostClock::resume() {
  const Nanoseconds paused = paused_at_.load();
  if (paused < 0) return;
  offset_.store(host_now() - paused);
  paused_at_.store(-1);
}

Timer::Timer(TimerQueue& queue, std::function<void()> callback)
    : queue_(queue), callback_(std::move(callback)) {}

Timer::~Timer() {
  std::unique_lock lock(queue_.mutex_);
  if (deadline_ >= 0) queue_.armed_.erase(this);
  deadline_ = -1;
  if (queue_.running_on_ == std::this_thread::get_id()) return;
  queue_.callback_done_.wait(lock, [this] { return queue_.running_ != this; });
}

void Timer::arm(Nanoseconds deadline) {
  std::lock_guard lock(queue_.mutex_);
  if (deadline_ >= 0) queue_.armed_.erase(this);
  deadline_ = deadline < 0 ? 0 : deadline;
  order_ = queue_.next_order_++;
  queue_.armed_.insert(this);
  if (*queue_.armed_.begin() == this) queue_.wake_.notify_one();
}

void Timer::cancel() {
  std::lock_guard lock(queue_.mutex_);
  if (deadline_ >= 0) queue_.armed_.erase(this);
  deadline_ = -1;
}

void TimerQueue::start() {
  if (!thread_.joinable()) thread_ = std::thread([this] { thread_main(); });
}

void TimerQueue::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  stopping_ = false;
}

Nanoseconds TimerQueue::next_deadline() const {
  std::lock_guard lock(mutex_);
  return armed_.empty() ? -1 : (*armed_.begin())->deadline_;
}

size_t TimerQueue::run_due() {
  std::unique_lock lock(mutex_);
  return run_due_locked(lock);
}

size_t TimerQueue::run_due_locked(std::unique_lock<std::mutex>& lock) {
  size_t count = 0;
  while (!armed_.empty() && (*armed_.begin())->deadline_ <= clock_.now()) {
    Timer* timer = *armed_.begin();
    armed_.erase(armed_.begin());
    timer->deadline_ = -1;
    running_ = timer;
    running_on_ = std::this_thread::get_id();
    lock.unlock();
    timer->callback_();
    lock.lock();
    running_ = nullptr;
    running_on_ = {};
    callback_done_.notify_all();
    ++count;
  }
  return count;
}

void TimerQueue::thread_main() {
  // A guest's timers ask for microseconds; the default slack of 50 us would blur them.
  prctl(PR_SET_TIMERSLACK, 1);
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    run_due_locked(lock);
    if (stopping_) break;
    if (armed_.empty()) {
      wake_.wait(lock);
    } else {
      const Nanoseconds wait = (*armed_.begin())->deadline_ - clock_.now();
      if (wait > 0) wake_.wait_for(lock, std::chrono::nanoseconds(wait));
    }
  }
}

}  // namespace eidolon
