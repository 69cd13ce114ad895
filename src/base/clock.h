// The machine's one clock, and the timers that devices set on it.
//
// Time is virtual nanoseconds since the machine was started; it stands still while the machine is
// paused. Devices read `now()`, and arm Timers; a TimerQueue runs the callbacks of due timers on its
// own thread. A callback may take its device's lock and may arm or cancel any timer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

namespace eidolon {

using Nanoseconds = int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  /// Virtual nanoseconds since the machine was started. Never runs backwards.
  [[nodiscard]] virtual Nanoseconds now() const = 0;
};

/// The host's monotonic clock, less the time that was spent paused.
class HostClock final : public Clock {
 public:
  HostClock();
  [[nodiscard]] Nanoseconds now() const override;
  void pause();
  /// Stands at `now` until resume(), as a snapshot says. Before anybody has read it.
  void pause_at(Nanoseconds now) { paused_at_.store(now); }
  void resume();

 private:
  std::atomic<Nanoseconds> offset_;         ///< subtracted from the host's time while running
  std::atomic<Nanoseconds> paused_at_{-1};  ///< virtual time of the pause, or -1
};

/// A clock that a test moves by hand.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] Nanoseconds now() const override { return now_; }
  void advance(Nanoseconds by) { now_ += by; }

 private:
  std::atomic<Nanoseconds> now_{0};
};

class TimerQueue;

/// One alarm. Not copyable; destroying it cancels it, and waits for a callback that is under way
/// on another thread.
class Timer {
 public:
  Timer(TimerQueue& queue, std::function<void()> callback);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Calls back once when the clock reaches `deadline` (virtual ns); replaces an earlier deadline.
  void arm(Nanoseconds deadline);
  void cancel();

 private:
  friend class TimerQueue;
  TimerQueue& queue_;
  std::function<void()> callback_;
  Nanoseconds deadline_ = -1;  ///< -1: not armed; guarded by the queue's mutex
  uint64_t order_ = 0;         ///< breaks ties between equal deadlines
};

/// Runs due timers. With `start()` a thread does so; without it (tests), call `run_due()`.
class TimerQueue {
 public:
  explicit TimerQueue(const Clock& clock) : clock_(clock) {}
  ~TimerQueue() { stop(); }

  void start();
  void stop();
  /// Runs, on the calling thread, every timer that is due. Returns how many ran.
  size_t run_due();
  /// The earliest deadline (virtual ns), or -1 if no timer is armed.
  [[nodiscard]] Nanoseconds next_deadline() const;
  [[nodiscard]] const Clock& clock() const { return clock_; }

 private:
  friend class Timer;
  struct Earlier {
    bool operator()(const Timer* a, const Timer* b) const {
      return a->deadline_ != b->deadline_ ? a->deadline_ < b->deadline_ : a->order_ < b->order_;
    }
  };
  void thread_main();
  size_t run_due_locked(std::unique_lock<std::mutex>& lock);

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable callback_done_;
  std::set<Timer*, Earlier> armed_;
  Timer* running_ = nullptr;  ///< whose callback is under way
  std::thread::id running_on_;
  uint64_t next_order_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace eidolon
