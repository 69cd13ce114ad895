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
#include "device/net/segments.h"
#include "net/packets.h"

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
  /// As a program does that knows nothing of large frames.
  [[nodiscard]] FileDescriptor connect_plainly() const {
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = *socket_address(path);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
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
  const FileDescriptor bad = connect_plainly();
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

/// Between two machines that take large frames, they stay as they are; a third one gets segments.
TEST_F(SwitchTest, LargeFramesAreCutOnlyForWhoDoesNotTakeThem) {
  RunningSwitch running(path);
  Machine one(path), two(path), three(path);
  const FileDescriptor plain = connect_plainly();
  FrameStream four(FileDescriptor(dup(plain.get())));
  for (Machine* machine : {&one, &two, &three}) ASSERT_TRUE(machine->wait_for_link(true));
  two.card.change([&] { two.card.takes_large = true; });
  Frame frame = device::net::tcp4(device::net::payload_of(3500));
  std::ranges::copy(kAll, frame.begin());
  const device::net::Offload offload = device::net::cut(frame, 1000);
  one.card.change([&] { one.card.sends = offload; });
  // The question and the answer may not be over when the first one is sent; a card hands over large frames
  // only then.
  const auto got_large = [&] { return !two.card.received.empty() && two.card.last_offload == offload; };
  for (int i = 0; i < 200 && !two.card.holds(got_large); ++i) {
    one.send(frame);
    std::this_thread::sleep_for(20ms);
  }
  ASSERT_TRUE(two.card.wait_for(got_large));
  EXPECT_EQ(two.card.received.back(), frame);
  device::net::Segments segments;
  ASSERT_TRUE(segments.begin(frame, offload));
  std::vector<Frame> cut_frames(1);
  while (segments.next(cut_frames.back())) cut_frames.emplace_back();
  cut_frames.pop_back();
  ASSERT_EQ(cut_frames.size(), 4u);
  const auto ends_with_them = [&](const std::vector<Frame>& frames) {
    return frames.size() >= 4 && std::equal(frames.end() - 4, frames.end(), cut_frames.begin());
  };
  EXPECT_TRUE(three.card.wait_for([&] { return ends_with_them(three.card.received); })) << "by its own cable";
  std::vector<Frame> at_four;
  for (int i = 0; i < 1000 && !ends_with_them(at_four); ++i) {
    ASSERT_TRUE(four.fill());
    for (; const auto next = four.front(); four.pop()) {
      EXPECT_TRUE(four.front_offload().finished());
      at_four.emplace_back(next->begin(), next->end());
    }
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_TRUE(ends_with_them(at_four)) << "by the switch, for one that never asked";
}

TEST_F(SwitchTest, OnlyWhoAsksIsAnswered) {
  RunningSwitch running(path);
  const FileDescriptor fd = connect_plainly();
  FrameStream stream(FileDescriptor(dup(fd.get())));
  Machine other(path);
  ASSERT_TRUE(other.wait_for_link(true));
  other.send(frame_of(kAll, kOne, 1));
  const auto wait_for_frame = [&] {
    for (int i = 0; i < 1000 && !stream.front(); ++i) {
      ASSERT_TRUE(stream.fill());
      std::this_thread::sleep_for(5ms);
    }
    ASSERT_TRUE(stream.front());
  };
  wait_for_frame();
  EXPECT_EQ((*stream.front())[20], 1) << "the others' questions are not for everybody";
  stream.pop();
  stream.queue_greeting(FrameStream::Greeting::kQuestion);
  ASSERT_TRUE(stream.flush());
  wait_for_frame();
  EXPECT_TRUE(FrameStream::is_greeting(*stream.front(), FrameStream::Greeting::kAnswer));
}

TEST_F(FrameStreamTest, CarriesWhatIsLeftToDo) {
  Frame frame = device::net::tcp4(device::net::payload_of(5000));
  const device::net::Offload offload = device::net::cut(frame, 1400);
  one->queue(frame, offload);
  one->queue(Frame(60, 1));
  ASSERT_TRUE(one->flush());
  ASSERT_TRUE(other->fill());
  ASSERT_TRUE(other->front());
  EXPECT_TRUE(std::ranges::equal(*other->front(), frame));
  EXPECT_EQ(other->front_offload(), offload);
  other->pop();
  ASSERT_TRUE(other->front());
  EXPECT_EQ(other->front()->size(), 60u);
  EXPECT_TRUE(other->front_offload().finished());
}

TEST(FrameStream, HostileOffloadsEndTheConnection) {
  Frame frame = device::net::tcp4(device::net::payload_of(5000));
  const device::net::Offload good = device::net::cut(frame, 1400);
  const auto broken = [&](std::vector<uint8_t> header, Frame behind) {
    std::array<int, 2> ends;
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    const FileDescriptor one(ends[0]);
    FrameStream other{FileDescriptor(ends[1])};
    header.insert(header.end(), behind.begin(), behind.end());
    const auto length = static_cast<uint32_t>(header.size());
    const std::array<uint8_t, 4> word = {0x80, static_cast<uint8_t>(length >> 16),
                                         static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length)};
    EXPECT_EQ(write(one.get(), word.data(), word.size()), 4);
    EXPECT_EQ(write(one.get(), header.data(), header.size()), static_cast<ssize_t>(header.size()));
    EXPECT_TRUE(other.fill());
    EXPECT_EQ(other.front().has_value(), !other.broken());
    return other.broken();
  };
  const auto bytes = [](const device::net::Offload& offload) {
    const auto header = encode(offload, 54);
    return std::vector<uint8_t>(header.begin(), header.end());
  };
  EXPECT_FALSE(broken(bytes(good), frame));
  EXPECT_TRUE(broken({1, 2, 3}, {})) << "too short for what was announced";
  EXPECT_TRUE(broken(bytes(good), {}));
  EXPECT_TRUE(broken(bytes(good), Frame(2000)));
  device::net::Offload wrong = good;
  wrong.segment = 0;
  EXPECT_TRUE(broken(bytes(wrong), frame));
  std::vector<uint8_t> unknown = bytes(good);
  unknown[1] = 3;
  EXPECT_TRUE(broken(unknown, frame)) << "UDP is not cut here";
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
