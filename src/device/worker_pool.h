// Threads that carry out a device's requests, so that the processor that asked goes on.
//
// The pool works on the device's own lock. Its step takes a request with the lock held, lets go of the lock
// while it works on it, and says whether there was any; a quiesced pool begins none:
//
//   running --quiesce()--> nobody is at work, and nobody begins --resume()--> running
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace eidolon::device {

class WorkerPool {
 public:
  using Lock = std::unique_lock<std::mutex>;
  /// Carries out one request if there is one. Called and left with the lock held.
  using Step = std::function<bool(Lock&)>;

  /// `mutex` and what `step` needs outlive the pool, or stop() is called in time.
  WorkerPool(std::mutex& mutex, unsigned threads, Step step)
      : mutex_(mutex), thread_count_(threads), step_(std::move(step)) {}
  ~WorkerPool() { stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Without the lock: returns when the threads have ended. No other follow.
  void stop();
  // Without it, too, for a longer time: quiesce() and resume().
  /// False, and nothing is held, if somebody is still at work after `patience`.
  [[nodiscard]] bool hold(std::chrono::milliseconds patience);
  void release();

  // With the lock held.
  /// Nobody is at work, and somebody might begin.
  [[nodiscard]] bool idle() const { return busy_ == 0 && holds_ == 0 && !stopping_; }
  /// There may be a request. The first call starts the threads.
  void wake();
  /// Waits until nobody is at work. Calls nest. The lock is given away meanwhile: what was read before is to
  /// be read again.
  void quiesce(Lock& lock);
  void resume();

 private:
  void thread_main();

  std::mutex& mutex_;
  const unsigned thread_count_;
  const Step step_;
  unsigned holds_ = 0;  ///< quiesce() without resume()
  unsigned busy_ = 0;   ///< threads in a step
  bool stopping_ = false;
  std::condition_variable work_;
  std::condition_variable idle_;
  std::vector<std::thread> threads_;
};

/// Quiesces for as long as it lives.
class QuietPool {
 public:
  QuietPool(WorkerPool& pool, WorkerPool::Lock& lock) : pool_(pool) { pool_.quiesce(lock); }
  ~QuietPool() { pool_.resume(); }
  QuietPool(const QuietPool&) = delete;
  QuietPool& operator=(const QuietPool&) = delete;

 private:
  WorkerPool& pool_;
};

}  // namespace eidolon::device
