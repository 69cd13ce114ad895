// A switch and the cables to it: what it learns, what it forgets, and machines that misbehave.
#include "backend/switch.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "backend/line_client.h"
#include "backend/switch_link.h"
#include "backend/test_card.h"

namespace eidolon::backend {
namespace {

using namespace std::chrono_literals;

using Address = std::array<uint8_t, 6>;
constexpr Address kOne = {2, 0, 0, 0, 0, 1}, kTwo = {2, 0, 0, 0, 0, 2}, kThree = {2, 0, 0, 0, 0, 3};
constexpr Address kAll = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

Frame frame_of(const Address& to, const Address& from, uint8_t content, size_t length = 60) {
  Frame frame(length, content);
  std::ranges::copy(to, frame.begin());
  std::ranges::copy(from, frame.begin() + 6);
  return frame;
}

TEST(MacTable, FindsWhereACardWasLastHeard) {
  MacTable table;
  const MacTable::Time now{};
  EXPECT_FALSE(table.find(kOne, now));
  table.learn(kOne, 1, now);
  table.learn(kTwo, 2, now);
  EXPECT_EQ(table.find(kOne, now), 1u);
  table.learn(kOne, 2, now + 1s);
  EXPECT_EQ(table.find(kOne, now), 2u);
  EXPECT_FALSE(table.find(kTwo, now + 301s)) << "too long ago";
  EXPECT_EQ(table.find(kOne, now + 301s), 2u);
  table.forget(2);
  EXPECT_FALSE(table.find(kOne, now));
}

TEST(MacTable, HasABound) {
  MacTable table;
  const MacTable::Time now{};
  table.learn(kAll, 7, now);
  EXPECT_FALSE(table.find(kAll, now)) << "a group sends nothing";
  table.learn(kOne, 1, now);
  Address address = {4};
  for (size_t i = 0; i < MacTable::kMost; ++i) {
    address[4] = static_cast<uint8_t>(i >> 8);
    address[5] = static_cast<uint8_t>(i);
    table.learn(address, 2, now);
  }
  EXPECT_FALSE(table.find(kOne, now));
  EXPECT_EQ(table.find(address, now), 2u);
}

class FrameStreamTest : public testing::Test {
 protected:
  FrameStreamTest() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    one.emplace(FileDescriptor(fds[0]));
    other.emplace(FileDescriptor(fds[1]));
  }
  std::optional<FrameStream> one, other;
};

TEST_F(FrameStreamTest, PutsTheLengthBeforeAFrame) {
  one->queue(Frame(258, 7));
  ASSERT_TRUE(one->flush());
  uint8_t bytes[300];
  EXPECT_EQ(read(other->fd(), bytes, sizeof bytes), 262);
  EXPECT_EQ(bytes[0], 0);
  EXPECT_EQ(bytes[1], 0);
  EXPECT_EQ(bytes[2], 1);
  EXPECT_EQ(bytes[3], 2);
  EXPECT_EQ(bytes[4], 7);
}

TEST_F(FrameStreamTest, AFrameThatComesInPartsIsThereWhenItIsWhole) {
  const uint8_t bytes[] = {0, 0, 0, 2, 5, 6, 0, 0};
  ASSERT_EQ(write(one->fd(), bytes, 5), 5);
  EXPECT_TRUE(other->fill());
  EXPECT_FALSE(other->front());
  ASSERT_EQ(write(one->fd(), bytes + 5, 3), 3);
  EXPECT_TRUE(other->fill());
  ASSERT_TRUE(other->front());
  EXPECT_EQ(other->front()->size(), 2u);
  EXPECT_EQ((*other->front())[1], 6);
  other->pop();
  EXPECT_FALSE(other->front());
  EXPECT_TRUE(other->fill()) << "nothing has come";
}

TEST_F(FrameStreamTest, WhatTheSocketDoesNotTakeWaitsInABoundedQueue) {
  size_t queued = 0;
  while (one->has_room()) {
    one->queue(Frame(1500, static_cast<uint8_t>(queued++)));
    ASSERT_TRUE(one->flush());
    ASSERT_LT(queued, 10'000u);
  }
  for (size_t received = 0; received < queued;) {
    ASSERT_TRUE(other->fill());
    for (; other->front(); other->pop(), ++received)
      ASSERT_EQ((*other->front())[1499], static_cast<uint8_t>(received));
    ASSERT_TRUE(one->flush());
  }
  EXPECT_FALSE(one->has_queued());
}

TEST_F(FrameStreamTest, AnEndAndALengthThatCannotBeEndIt) {
  const uint8_t absurd[] = {0x7f, 0xff, 0xff, 0xff};
  ASSERT_EQ(write(one->fd(), absurd, 4), 4);
  EXPECT_TRUE(other->fill());
  EXPECT_TRUE(other->broken());
  EXPECT_FALSE(other->front());
  other.reset();
  one->queue(Frame(60));
  EXPECT_FALSE(one->flush());
  EXPECT_FALSE(one->fill());
}

/// A switch with its thread.
class RunningSwitch {
 public:
  explicit RunningSwitch(const std::string& path) {
    auto made = Switch::create(path);
    EXPECT_TRUE(made) << made.error().message;
    thread_ = std::thread([this, ports = std::move(*made)]() mutable { ports.run(stop_.get()); });
  }
  ~RunningSwitch() {
    const uint64_t one = 1;
    EXPECT_EQ(write(stop_.get(), &one, sizeof one), 8);
    thread_.join();
  }

 private:
  FileDescriptor stop_{eventfd(0, EFD_CLOEXEC)};
  std::thread thread_;
};

class SwitchTest : public testing::Test {
 protected:
  struct Machine {
    explicit Machine(const std::string& path) : link(*SwitchLink::create(path)) {
      link->plug(&card);
      link->wake();
    }
    ~Machine() { link->plug(nullptr); }
    void send(const Frame& frame) {
      card.change([&] { card.to_send.push_back(frame); });
      link->wake();
    }
    bool wait_for_link(bool up) {
      return card.wait_for([&] { return card.link == up; });
    }
    bool wait_for_content(uint8_t content) {
      return card.wait_for([&] { return !card.received.empty() && card.received.back()[20] == content; });
    }
    TestCard card;
    std::unique_ptr<SwitchLink> link;
  };
  const std::string path = testing::TempDir() + "switch_test." + std::to_string(getpid());
};

TEST_F(SwitchTest, LearnsWhereFramesAreToGo) {
  RunningSwitch running(path);
  Machine one(path), two(path), three(path);
  ASSERT_TRUE(one.wait_for_link(true));
  ASSERT_TRUE(two.wait_for_link(true));
  ASSERT_TRUE(three.wait_for_link(true));
  one.send(frame_of(kAll, kOne, 1));
  EXPECT_TRUE(two.wait_for_content(1));
  EXPECT_TRUE(three.wait_for_content(1));
  two.send(frame_of(kOne, kTwo, 2));
  EXPECT_TRUE(one.wait_for_content(2));
  three.send(frame_of(kOne, kThree, 3));
  EXPECT_TRUE(one.wait_for_content(3));
  one.send(frame_of(kTwo, kOne, 4));
  one.send(frame_of(kAll, kOne, 5));
  EXPECT_TRUE(two.wait_for_content(5));
  EXPECT_TRUE(three.wait_for_content(5));
  EXPECT_EQ(two.card.received.size(), 3u);
  EXPECT_EQ(three.card.received.size(), 2u) << "what was for the second one did not come here";
  EXPECT_EQ(one.card.received.size(), 2u) << "nor do one's own";
}

TEST_F(SwitchTest, TheLinkComesAndGoesWithTheSwitch) {
  Machine one(path), two(path);
  EXPECT_TRUE(one.wait_for_link(false));
  {
    RunningSwitch running(path);
    EXPECT_TRUE(one.wait_for_link(true));
  }
  EXPECT_TRUE(one.wait_for_link(false));
  EXPECT_NE(access(path.c_str(), F_OK), 0) << "it takes its socket along";
  RunningSwitch running(path);
  EXPECT_TRUE(one.wait_for_link(true));
  EXPECT_TRUE(two.wait_for_link(true));
  one.send(frame_of(kAll, kOne, 1));
  EXPECT_TRUE(two.wait_for_content(1));
}

TEST_F(SwitchTest, AMachineThatVanishesIsForgotten) {
  RunningSwitch running(path);
  Machine one(path), three(path);
  ASSERT_TRUE(one.wait_for_link(true));
  ASSERT_TRUE(three.wait_for_link(true));
  {
    Machine two(path);
    two.send(frame_of(kAll, kTwo, 1));
    ASSERT_TRUE(one.wait_for_content(1));
  }
  // The second one's address is behind nobody's port: everybody gets the frame.
  for (int i = 0; i < 200; ++i) {
    one.send(frame_of(kTwo, kOne, 2));
    std::this_thread::sleep_for(10ms);
    bool came = false;
    three.card.change([&] { came = !three.card.received.empty() && three.card.received.back()[20] == 2; });
    if (came) return;
  }
  FAIL() << "the third one never got it";
}

TEST_F(SwitchTest, GarbageCostsItsSenderTheConnection) {
  RunningSwitch running(path);
  Machine one(path), two(path);
  ASSERT_TRUE(one.wait_for_link(true));
  ASSERT_TRUE(two.wait_for_link(true));
  const FileDescriptor bad(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = *socket_address(path);
  ASSERT_EQ(connect(bad.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const uint8_t bytes[] = {0, 0, 0, 1, 9, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
  ASSERT_EQ(write(bad.get(), bytes, sizeof bytes), static_cast<ssize_t>(sizeof bytes));
  uint8_t byte = 0;
  EXPECT_EQ(read(bad.get(), &byte, 1), 0);
  one.send(frame_of(kAll, kOne, 1));
  EXPECT_TRUE(two.wait_for_content(1));
}

TEST_F(SwitchTest, ACardWithoutRoomLosesNothingThatTheSwitchHasRoomFor) {
  RunningSwitch running(path);
  Machine one(path), two(path);
  ASSERT_TRUE(two.wait_for_link(true));
  two.card.change([&] { two.card.room = false; });
  constexpr uint8_t kFrames = 200;
  for (uint8_t i = 0; i < kFrames; ++i) one.send(frame_of(kAll, kOne, i));
  ASSERT_TRUE(two.card.wait_for([&] { return two.card.refused; }));
  two.card.change([&] { two.card.room = true; });
  two.link->wake();
  EXPECT_TRUE(two.card.wait_for([&] { return two.card.received.size() == kFrames; }));
  for (uint8_t i = 0; i < kFrames; ++i) EXPECT_EQ(two.card.received[i][20], i);
}

TEST_F(SwitchTest, OnePlaceHasOneSwitch) {
  {
    RunningSwitch running(path);
    const auto second = Switch::create(path);
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().message.find(path), std::string::npos);
  }
  EXPECT_FALSE(Switch::create(testing::TempDir())) << "a directory";
  EXPECT_FALSE(SwitchLink::create(std::string(200, 'x')));
}

}  // namespace
}  // namespace eidolon::backend
