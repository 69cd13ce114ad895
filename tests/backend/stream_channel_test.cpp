// Channels to sockets, terminals and files: bytes arrive, peers come and go, and none of them holds up a
// guest.
#include "backend/stream_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>

#include "backend/line_client.h"

namespace eidolon::backend {
namespace {

using namespace std::chrono_literals;
using Kind = PortTarget::Kind;

/// A guest that sends what it is given, or without end, and takes so many bytes.
class FakePort final : public device::Port {
 public:
  size_t send_some(std::span<uint8_t> to) override {
    std::lock_guard lock(mutex_);
    const size_t count = endless ? to.size() : std::min(to.size(), waiting_.size());
    for (size_t i = 0; i < count; ++i) to[i] = endless ? 'x' : static_cast<uint8_t>(waiting_[i]);
    waiting_.erase(0, count);
    taken_ += count;
    return count;
  }
  size_t receive(std::span<const uint8_t> bytes) override {
    std::lock_guard lock(mutex_);
    const size_t count = std::min(bytes.size(), room_);
    received_.append(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
    room_ -= count;
    return count;
  }
  void channel_changed() override {}

  void send(std::string_view text) {
    std::lock_guard lock(mutex_);
    waiting_ += text;
  }
  void make_room(size_t bytes) {
    std::lock_guard lock(mutex_);
    room_ += bytes;
  }
  std::string received() {
    std::lock_guard lock(mutex_);
    return received_;
  }
  size_t taken() {
    std::lock_guard lock(mutex_);
    return taken_;
  }
  std::atomic<bool> endless{false};

 private:
  std::mutex mutex_;
  std::string waiting_, received_;
  size_t taken_ = 0;
  size_t room_ = 1 << 20;
};

/// False after ten seconds.
bool wait_until(const std::function<bool()>& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

/// So many bytes, or what came within ten seconds.
std::string read_bytes(int fd, size_t count) {
  std::string text;
  while (text.size() < count) {
    pollfd query{.fd = fd, .events = POLLIN, .revents = 0};
    char byte = 0;
    if (poll(&query, 1, 10'000) <= 0 || read(fd, &byte, 1) != 1) break;
    text += byte;
  }
  return text;
}

class StreamChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/eidolon-channel-XXXXXX";
    directory = mkdtemp(pattern.data());
    path = directory + "/it";
  }
  void TearDown() override {
    if (channel) channel->plug(nullptr);
    channel.reset();
    std::filesystem::remove_all(directory);
  }
  void open(Kind kind) {
    auto opened = StreamChannel::open({.kind = kind, .path = path});
    ASSERT_TRUE(opened) << opened.error().message;
    channel = *std::move(opened);
    channel->plug(&port);
    channel->start();
  }
  [[nodiscard]] FileDescriptor connect() const {
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = *socket_address(path);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_TRUE(wait_until([&] { return channel->connected(); }));
    return fd;
  }
  void send(std::string_view text) {
    port.send(text);
    channel->wake();
  }

  std::string directory, path;
  FakePort port;
  std::unique_ptr<StreamChannel> channel;
};

TEST_F(StreamChannelTest, AClientOfASocketComesAndGoes) {
  open(Kind::kSocket);
  struct stat found {};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  EXPECT_FALSE(channel->connected());
  send("nobody hears this");
  ASSERT_TRUE(wait_until([&] { return port.taken() == 17; })) << "it is lost, and the guest goes on";
  for (int i = 0; i < 2; ++i) {
    const FileDescriptor client = connect();
    send("to host");
    EXPECT_EQ(read_bytes(client.get(), 7), "to host");
    ASSERT_EQ(write(client.get(), "to guest", 8), 8);
    EXPECT_TRUE(wait_until([&] { return port.received().size() == 8u * (i + 1u); }));
    shutdown(client.get(), SHUT_RDWR);
    EXPECT_TRUE(wait_until([&] { return !channel->connected(); }));
  }
  EXPECT_FALSE(StreamChannel::open({.kind = Kind::kSocket, .path = path})) << "it is served";
  channel->plug(nullptr);
  channel.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(StreamChannelTest, AReaderThatIsSlowStopsTheGuestAndNotTheMemory) {
  open(Kind::kSocket);
  const FileDescriptor client = connect();
  port.endless = true;
  channel->wake();
  size_t before = 0;
  ASSERT_TRUE(wait_until([&] {
    std::this_thread::sleep_for(50ms);
    return port.taken() != 0 && std::exchange(before, port.taken()) == port.taken();
  }));
  EXPECT_LT(before, 8u << 20) << "what a socket holds, and a buffer";
  port.endless = false;
  EXPECT_EQ(read_bytes(client.get(), before), std::string(before, 'x'));
}

TEST_F(StreamChannelTest, WhatTheGuestHasNoRoomForWaits) {
  open(Kind::kSocket);
  port.make_room(-size_t{1 << 20});
  const FileDescriptor client = connect();
  ASSERT_EQ(write(client.get(), "some text", 9), 9);
  port.make_room(4);
  channel->wake();
  EXPECT_TRUE(wait_until([&] { return port.received() == "some"; }));
  port.make_room(100);
  channel->wake();
  EXPECT_TRUE(wait_until([&] { return port.received() == "some text"; }));
}

TEST_F(StreamChannelTest, AStaleSocketIsReplacedAndAFileIsNot) {
  {
    const FileDescriptor dead(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = *socket_address(path);
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  open(Kind::kSocket);
  std::ofstream(directory + "/file") << "text";
  EXPECT_FALSE(StreamChannel::open({.kind = Kind::kSocket, .path = directory + "/file"}));
}

TEST_F(StreamChannelTest, ATerminalIsThereWhileSomebodyHasItOpen) {
  open(Kind::kPty);
  send("nobody hears this");
  ASSERT_TRUE(wait_until([&] { return port.taken() == 17; }));
  for (int i = 0; i < 2; ++i) {
    const FileDescriptor terminal(::open(channel->terminal().c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(terminal.valid());
    ASSERT_TRUE(wait_until([&] { return channel->connected(); }));
    send("a\nb");
    EXPECT_EQ(read_bytes(terminal.get(), 3), "a\nb") << "raw";
    ASSERT_EQ(write(terminal.get(), "\x03q", 2), 2);
    EXPECT_TRUE(wait_until([&] { return port.received().size() == 2u * (i + 1u); }));
  }
  EXPECT_TRUE(wait_until([&] { return !channel->connected(); }));
}

TEST_F(StreamChannelTest, AFileGetsWhatIsSent) {
  std::ofstream(path) << "what was there before";
  open(Kind::kFile);
  send("text");
  EXPECT_TRUE(wait_until([&] { return std::filesystem::file_size(path) == 4; }));
  EXPECT_FALSE(StreamChannel::open({.kind = Kind::kFile, .path = directory + "/nowhere/file"}));
}

TEST_F(StreamChannelTest, AFullDiskHoldsUpNobody) {
  path = "/dev/full";
  open(Kind::kFile);
  send("text");
  EXPECT_TRUE(wait_until([&] { return port.taken() == 4; }));
  send("more");
  EXPECT_TRUE(wait_until([&] { return port.taken() == 8; }));
}

TEST(PortTargets, AreReadAndRefused) {
  EXPECT_EQ(parse_port_target("pty", "--port")->kind, Kind::kPty);
  EXPECT_EQ(parse_port_target("socket:/a:b", "--port")->path, "/a:b");
  for (const char* text : {"", "socket:", "tcp:1", "PTY", "stdio:"})
    EXPECT_TRUE(parse_port_target(text, "--port").error().message.starts_with("--port does not know"))
        << text;
}

}  // namespace
}  // namespace eidolon::backend
