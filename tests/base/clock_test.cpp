// Clocks and the timer queue: order, re-arming from callbacks, cancelling, and the thread.
#include "base/clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <vector>

namespace eidolon {
namespace {

using namespace std::chrono_literals;

TEST(HostClock, StandsStillWhilePausedAndGoesOnWithoutAJump) {
  HostClock clock;
  clock.pause();
  const Nanoseconds paused = clock.now();
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(clock.now(), paused);
  clock.resume();
  const Nanoseconds resumed = clock.now();
  EXPECT_GE(resumed, paused);
  std::this_thread::sleep_for(2ms);
  EXPECT_GE(clock.now(), resumed + 2'000'000);
}

TEST(HostClock, PausingTwiceKeepsTheFirstPause) {
  HostClock clock;
  clock.pause();
  const Nanoseconds first = clock.now();
  std::this_thread::sleep_for(1ms);
  clock.pause();
  EXPECT_EQ(clock.now(), first);
}

class TimerQueueTest : public ::testing::Test {
 protected:
  ManualClock clock;
  TimerQueue queue{clock};
  std::vector<int> order;
};

TEST_F(TimerQueueTest, RunsDueTimersByDeadlineThenByArming) {
  Timer a(queue, [this] { order.push_back(1); });
  Timer b(queue, [this] { order.push_back(2); });
  Timer c(queue, [this] { order.push_back(3); });
  a.arm(200);
  b.arm(100);
  c.arm(200);
  EXPECT_EQ(queue.next_deadline(), 100);
  clock.advance(199);
  EXPECT_EQ(queue.run_due(), 1u);
  clock.advance(1);
  EXPECT_EQ(queue.run_due(), 2u);
  EXPECT_EQ(order, (std::vector{2, 1, 3}));
  EXPECT_EQ(queue.next_deadline(), -1);
}

TEST_F(TimerQueueTest, ArmingAgainReplacesTheDeadline) {
  Timer a(queue, [this] { order.push_back(1); });
  a.arm(100);
  a.arm(300);
  clock.advance(200);
  EXPECT_EQ(queue.run_due(), 0u);
  clock.advance(100);
  EXPECT_EQ(queue.run_due(), 1u);
}

TEST_F(TimerQueueTest, CancelledAndDestroyedTimersDoNotRun) {
  Timer a(queue, [this] { order.push_back(1); });
  std::optional<Timer> b;
  b.emplace(queue, [this] { order.push_back(2); });
  a.arm(1);
  b->arm(1);
  a.cancel();
  b.reset();
  clock.advance(10);
  EXPECT_EQ(queue.run_due(), 0u);
}

TEST_F(TimerQueueTest, ACallbackMayArmItselfAndOthers) {
  Timer other(queue, [this] { order.push_back(2); });
  std::optional<Timer> self;
  self.emplace(queue, [&] {
    order.push_back(1);
    other.arm(clock.now() + 5);
    if (order.size() == 1) self->arm(clock.now() + 10);
  });
  self->arm(0);
  queue.run_due();
  EXPECT_EQ(queue.next_deadline(), 5);
  clock.advance(10);
  EXPECT_EQ(queue.run_due(), 2u);
  EXPECT_EQ(order, (std::vector{1, 2, 1}));
}

TEST_F(TimerQueueTest, ANegativeDeadlineIsDueAtOnce) {
  Timer a(queue, [this] { order.push_back(1); });
  a.arm(-50);
  EXPECT_EQ(queue.run_due(), 1u);
}

TEST(TimerQueueThread, WakesForATimerThatIsArmedWhileItSleeps) {
  HostClock clock;
  TimerQueue queue(clock);
  std::mutex mutex;
  std::condition_variable done;
  Nanoseconds ran_at = -1;
  Timer far(queue, [] {});
  Timer near(queue, [&] {
    std::lock_guard lock(mutex);
    ran_at = clock.now();
    done.notify_one();
  });
  queue.start();
  far.arm(clock.now() + Nanoseconds{3600} * 1'000'000'000);
  std::this_thread::sleep_for(5ms);
  const Nanoseconds due = clock.now() + 1'000'000;
  near.arm(due);
  std::unique_lock lock(mutex);
  ASSERT_TRUE(done.wait_for(lock, 10s, [&] { return ran_at >= 0; }));
  EXPECT_GE(ran_at, due);
}

TEST(TimerQueueThread, DestroyingATimerWaitsForItsCallback) {
  HostClock clock;
  TimerQueue queue(clock);
  std::atomic<bool> entered{false};
  std::atomic<bool> left{false};
  std::optional<Timer> timer;
  timer.emplace(queue, [&] {
    entered = true;
    std::this_thread::sleep_for(30ms);
    left = true;
  });
  queue.start();
  timer->arm(0);
  while (!entered) std::this_thread::yield();
  timer.reset();
  EXPECT_TRUE(left);
}

}  // namespace
}  // namespace eidolon
