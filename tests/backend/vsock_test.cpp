// The host's end of a guest's sockets: connections from both sides, credit, and ends of every kind.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <thread>

#include "backend/vsock_sockets.h"

namespace eidolon::backend {
namespace {

using namespace std::chrono_literals;
using namespace device::virtio;
using Operation = VsockOperation;

constexpr uint32_t kCid = 7;

/// A guest that sends the packets that it is given, and keeps those that it gets.
class FakeGuest final : public VsockGuest {
 public:
  uint64_t life() override {
    std::lock_guard lock(mutex_);
    return life_;
  }
  bool next_packet(VsockPacket& packet) override {
    std::lock_guard lock(mutex_);
    if (sent_.empty()) return false;
    packet = sent_.front();
    packet.life = life_;
    sent_.pop_front();
    return true;
  }
  std::optional<size_t> receive(uint64_t life, const VsockHeader& header,
                                std::span<const uint8_t> payload) override {
    std::lock_guard lock(mutex_);
    if (life != life_) return payload.size();
    if (!room_) return std::nullopt;
    const size_t part = std::min<size_t>(payload.size(), 4096);
    received_.push_back(
        {.life = life, .header = header, .payload = {payload.begin(), payload.begin() + part}});
    return part;
  }

  void send(VsockPacket packet) {
    std::lock_guard lock(mutex_);
    sent_.push_back(std::move(packet));
  }
  /// The next packet; kInvalid if none comes within ten seconds.
  VsockPacket next() {
    for (int i = 0; i < 10'000; ++i) {
      {
        std::lock_guard lock(mutex_);
        if (!received_.empty()) {
          VsockPacket packet = received_.front();
          received_.pop_front();
          return packet;
        }
      }
      std::this_thread::sleep_for(1ms);
    }
    return {};
  }
  bool quiet() {
    std::this_thread::sleep_for(50ms);
    std::lock_guard lock(mutex_);
    return received_.empty();
  }
  void set_room(bool room) {
    std::lock_guard lock(mutex_);
    room_ = room;
  }
  void reset() {
    std::lock_guard lock(mutex_);
    ++life_;
    sent_.clear();
    received_.clear();
  }

 private:
  std::mutex mutex_;
  uint64_t life_ = 1;
  bool room_ = true;
  std::deque<VsockPacket> sent_, received_;
};

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

/// So many bytes, or what came within ten seconds.
std::string read_bytes(int fd, size_t count) {
  std::string text;
  while (text.size() < count) {
    pollfd query{.fd = fd, .events = POLLIN, .revents = 0};
    char bytes[4096];
    if (poll(&query, 1, 10'000) <= 0) break;
    const ssize_t got = read(fd, bytes, std::min(sizeof bytes, count - text.size()));
    if (got <= 0) break;
    text.append(bytes, static_cast<size_t>(got));
  }
  return text;
}

class VsockSocketsTest : public testing::Test {
 protected:
  VsockSocketsTest() {
    sockets->plug(&guest);
    sockets->start();
  }
  ~VsockSocketsTest() override {
    sockets.reset();
    std::filesystem::remove_all(directory);
  }

  static std::string make_directory() {
    std::string name = testing::TempDir() + "eidolon-vsock-XXXXXX";
    return mkdtemp(name.data());
  }
  FileDescriptor client(std::string_view line) const {
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(path);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(write(fd.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
    return fd;
  }
  FileDescriptor listener(uint32_t port) const {
    FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(path + "_" + std::to_string(port));
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd.get(), 4), 0);
    return fd;
  }
  void send(Operation operation, uint32_t guest_port, uint32_t host_port, std::string_view payload = {},
            uint32_t flags = 0, uint32_t buffer = 1 << 20, uint32_t forwarded = 0) {
    guest.send({.header = {.source_cid = kCid,
                           .destination_cid = kVsockHost,
                           .source_port = guest_port,
                           .destination_port = host_port,
                           .length = static_cast<uint32_t>(payload.size()),
                           .type = kVsockStream,
                           .operation = operation,
                           .flags = flags,
                           .buffer = buffer,
                           .forwarded = forwarded},
                .payload = {payload.begin(), payload.end()}});
    sockets->wake();
  }
  /// A stream from the guest's port 100 to whoever has accepted it at the host's port 5.
  FileDescriptor open_from_guest(uint32_t buffer = 1 << 20) {
    const FileDescriptor here = listener(5);
    send(Operation::kRequest, 100, 5, {}, 0, buffer);
    EXPECT_EQ(guest.next().header.operation, Operation::kResponse);
    return FileDescriptor(accept(here.get(), nullptr, nullptr));
  }
  void expect_reset(uint32_t guest_port, uint32_t host_port) {
    const VsockHeader header = guest.next().header;
    EXPECT_EQ(header.operation, Operation::kReset);
    EXPECT_EQ(header.destination_port, guest_port);
    EXPECT_EQ(header.source_port, host_port);
  }

  const std::string directory = make_directory(), path = directory + "/s";
  FakeGuest guest;
  std::unique_ptr<VsockSockets> sockets = *VsockSockets::open(path, kCid, true);
};

TEST_F(VsockSocketsTest, AClientReachesAPortOfTheGuest) {
  const FileDescriptor fd = client("CONNECT 1234\nearly");
  const VsockHeader request = guest.next().header;
  EXPECT_EQ(request.operation, Operation::kRequest);
  EXPECT_EQ(request.type, kVsockStream);
  EXPECT_EQ(request.source_cid, kVsockHost);
  EXPECT_EQ(request.destination_cid, kCid);
  EXPECT_EQ(request.destination_port, 1234u);
  EXPECT_EQ(request.buffer, VsockStream::kBuffer);
  send(Operation::kResponse, 1234, request.source_port);
  const std::string line = "OK " + std::to_string(request.source_port) + "\n";
  EXPECT_EQ(read_bytes(fd.get(), line.size()), line);
  const VsockPacket early = guest.next();
  EXPECT_EQ(early.header.operation, Operation::kData);
  EXPECT_EQ(std::string(early.payload.begin(), early.payload.end()), "early");
  send(Operation::kData, 1234, request.source_port, "answer");
  EXPECT_EQ(read_bytes(fd.get(), 6), "answer");
}

TEST_F(VsockSocketsTest, AClientWhomTheGuestRefusesIsHungUpOn) {
  const FileDescriptor fd = client("CONNECT 1\n");
  send(Operation::kReset, 1, guest.next().header.source_port);
  EXPECT_EQ(read_bytes(fd.get(), 1), "");
}

TEST_F(VsockSocketsTest, AClientThatSaysSomethingElseIsHungUpOn) {
  for (const char* line : {"GET / HTTP/1.0\r\n", "CONNECT \n", "CONNECT x\n", "CONNECT 4294967296\n",
                           "CONNECT 1 2\n", "CONNECT 00000000000000000000000000000000000001\n"}) {
    const FileDescriptor fd = client(line);
    EXPECT_EQ(read_bytes(fd.get(), 1), "") << line;
  }
  EXPECT_TRUE(guest.quiet());
}

TEST_F(VsockSocketsTest, AGuestReachesASocketOfTheHost) {
  const FileDescriptor fd = open_from_guest();
  send(Operation::kData, 100, 5, "to the host");
  EXPECT_EQ(read_bytes(fd.get(), 11), "to the host");
  ASSERT_EQ(write(fd.get(), "to the guest", 12), 12);
  const VsockPacket packet = guest.next();
  EXPECT_EQ(packet.header.operation, Operation::kData);
  EXPECT_EQ(packet.header.source_port, 5u);
  EXPECT_EQ(packet.header.destination_port, 100u);
  EXPECT_EQ(packet.header.forwarded, 11u);
  EXPECT_EQ(std::string(packet.payload.begin(), packet.payload.end()), "to the guest");
}

TEST_F(VsockSocketsTest, WhatNobodyKnowsIsReset) {
  send(Operation::kRequest, 100, 6);
  expect_reset(100, 6);
  send(Operation::kData, 100, 6, "x");
  expect_reset(100, 6);
  send(Operation::kResponse, 100, 6);
  expect_reset(100, 6);
  send(Operation::kReset, 100, 6);
  EXPECT_TRUE(guest.quiet()) << "no reset for a reset";
}

TEST_F(VsockSocketsTest, OtherTypesAndOtherMachinesAreReset) {
  const FileDescriptor here = listener(5);
  VsockHeader header = {.source_cid = kCid,
                        .destination_cid = kVsockHost,
                        .source_port = 100,
                        .destination_port = 5,
                        .type = 2,
                        .operation = Operation::kRequest};
  guest.send({.header = header, .payload = {}});
  sockets->wake();
  VsockHeader reply = guest.next().header;
  EXPECT_EQ(reply.operation, Operation::kReset);
  EXPECT_EQ(reply.type, 2u);
  header.type = kVsockStream;
  header.destination_cid = 9;
  guest.send({.header = header, .payload = {}});
  sockets->wake();
  reply = guest.next().header;
  EXPECT_EQ(reply.operation, Operation::kReset);
  EXPECT_EQ(reply.source_cid, 9u);
}

TEST_F(VsockSocketsTest, AStreamIsAskedForOnce) {
  const FileDescriptor fd = open_from_guest();
  send(Operation::kRequest, 100, 5);
  expect_reset(100, 5);
  EXPECT_EQ(read_bytes(fd.get(), 1), "");
}

TEST_F(VsockSocketsTest, TheGuestGetsNoMoreThanItHasRoomFor) {
  const FileDescriptor fd = open_from_guest(10);
  ASSERT_EQ(write(fd.get(), "0123456789abcdef", 16), 16);
  EXPECT_EQ(guest.next().payload.size(), 10u);
  EXPECT_TRUE(guest.quiet());
  send(Operation::kCreditUpdate, 100, 5, {}, 0, 10, 4);
  EXPECT_EQ(guest.next().payload.size(), 4u);
  send(Operation::kCreditUpdate, 100, 5, {}, 0, 10, 1'000'000);  // more than it ever got
  EXPECT_TRUE(guest.quiet());
}

TEST_F(VsockSocketsTest, AHostThatDoesNotReadHoldsNoMoreThanItWasAskedTo) {
  const FileDescriptor fd = open_from_guest();
  // Sockets have buffers of their own, whose size is the kernel's.
  const std::string block(64 * 1024, 'x');
  for (unsigned i = 0; i < 100; ++i) send(Operation::kData, 100, 5, block);
  VsockHeader header = guest.next().header;
  while (header.operation == Operation::kCreditUpdate) header = guest.next().header;
  EXPECT_EQ(header.operation, Operation::kReset) << "it sent more than it had credit for";
}

TEST_F(VsockSocketsTest, CreditComesBackAsTheHostReads) {
  const FileDescriptor fd = open_from_guest();
  const std::string block(64 * 1024, 'x');
  size_t in_flight = 0, forwarded = 0;
  for (unsigned i = 0; i < 64; ++i) {
    while (in_flight + block.size() > VsockStream::kBuffer) {
      const VsockHeader header = guest.next().header;
      ASSERT_EQ(header.operation, Operation::kCreditUpdate);
      in_flight -= header.forwarded - forwarded;
      forwarded = header.forwarded;
    }
    send(Operation::kData, 100, 5, block);
    in_flight += block.size();
    ASSERT_EQ(read_bytes(fd.get(), block.size()).size(), block.size());
  }
  send(Operation::kCreditRequest, 100, 5);
  VsockHeader header = guest.next().header;
  while (header.forwarded != 64 * block.size() && header.operation == Operation::kCreditUpdate)
    header = guest.next().header;
  EXPECT_EQ(header.forwarded, 64 * block.size());
}

TEST_F(VsockSocketsTest, AGuestWithoutBuffersKeepsTheOthersWaiting) {
  const FileDescriptor fd = open_from_guest();
  guest.set_room(false);
  const std::string text(100'000, 'y');
  ASSERT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  for (unsigned i = 0; i < 300; ++i) send(Operation::kData, 200 + i, 5, "x");
  EXPECT_TRUE(guest.quiet());
  guest.set_room(true);
  sockets->wake();
  size_t bytes = 0, resets = 0;
  while (bytes < text.size() || resets < 300) {
    const VsockPacket packet = guest.next();
    ASSERT_NE(packet.header.operation, Operation::kInvalid);
    bytes += packet.payload.size();
    resets += packet.header.operation == Operation::kReset ? 1 : 0;
  }
  EXPECT_EQ(bytes, text.size());
  EXPECT_EQ(resets, 300u);
}

TEST_F(VsockSocketsTest, AClientThatLeavesShutsTheStreamDown) {
  FileDescriptor fd = open_from_guest();
  ASSERT_EQ(write(fd.get(), "last words", 10), 10);
  fd.reset();
  EXPECT_EQ(guest.next().payload.size(), 10u);
  VsockHeader header = guest.next().header;
  EXPECT_EQ(header.operation, Operation::kShutdown);
  if (header.flags == kVsockNoSend) header = guest.next().header;
  EXPECT_EQ(header.operation, Operation::kShutdown);
  EXPECT_EQ(header.flags, kVsockNoSend | kVsockNoReceive);
  send(Operation::kReset, 100, 5);
  send(Operation::kData, 100, 5, "x");
  expect_reset(100, 5);
}

TEST_F(VsockSocketsTest, HalfAStreamGoesOn) {
  const FileDescriptor fd = open_from_guest();
  shutdown(fd.get(), SHUT_WR);
  const VsockHeader header = guest.next().header;
  EXPECT_EQ(header.operation, Operation::kShutdown);
  EXPECT_EQ(header.flags, kVsockNoSend);
  send(Operation::kData, 100, 5, "still");
  EXPECT_EQ(read_bytes(fd.get(), 5), "still");
  send(Operation::kShutdown, 100, 5, {}, kVsockNoSend);
  EXPECT_EQ(read_bytes(fd.get(), 1), "") << "the end of the file";
  // Now that nobody sends any more, the socket is over, and the guest may hear of that.
  send(Operation::kData, 100, 5, "x");
  VsockHeader last = guest.next().header;
  if (last.operation == Operation::kShutdown) last = guest.next().header;
  EXPECT_EQ(last.operation, Operation::kReset);
}

TEST_F(VsockSocketsTest, WhatAClosedGuestHasSentIsStillRead) {
  const FileDescriptor fd = open_from_guest();
  const std::string block(64 * 1024, 'z');
  for (unsigned i = 0; i < 4; ++i) send(Operation::kData, 100, 5, block);
  send(Operation::kShutdown, 100, 5, {}, kVsockNoSend | kVsockNoReceive);
  VsockHeader header = guest.next().header;
  while (header.operation == Operation::kCreditUpdate) header = guest.next().header;
  EXPECT_EQ(header.operation, Operation::kReset) << "so that its owner need not wait";
  EXPECT_EQ(read_bytes(fd.get(), 4 * block.size() + 1).size(), 4 * block.size());
}

TEST_F(VsockSocketsTest, AGuestThatIsResetLosesItsStreams) {
  const FileDescriptor fd = open_from_guest();
  guest.reset();
  sockets->wake();
  EXPECT_EQ(read_bytes(fd.get(), 1), "");
  EXPECT_TRUE(guest.quiet()) << "it knows";
}

TEST_F(VsockSocketsTest, ThereAreOnlySoManyStreams) {
  const FileDescriptor here = listener(5);
  std::vector<FileDescriptor> accepted;
  for (uint32_t port = 1; port <= VsockStreams::kMost; ++port) {
    send(Operation::kRequest, port, 5);
    ASSERT_EQ(guest.next().header.operation, Operation::kResponse);
    accepted.emplace_back(accept(here.get(), nullptr, nullptr));
  }
  send(Operation::kRequest, 1000, 5);
  expect_reset(1000, 5);
  send(Operation::kReset, 1, 5);
  send(Operation::kRequest, 1000, 5);
  EXPECT_EQ(guest.next().header.operation, Operation::kResponse);
}

TEST_F(VsockSocketsTest, ThePathMustBeAPlaceForSockets) {
  EXPECT_FALSE(VsockSockets::open("/nowhere/at/all", kCid, true));
  const auto taken = VsockSockets::open(path, kCid, true);
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().message.find("already listens"), std::string::npos);
  const auto longest = VsockSockets::open(directory + "/" + std::string(90, 'x'), kCid, true);
  ASSERT_FALSE(longest);
  EXPECT_NE(longest.error().message.find("too long"), std::string::npos);
  EXPECT_TRUE(VsockSockets::open(path, kCid, false)) << "a copy of the machine listens nowhere";
}

}  // namespace
}  // namespace eidolon::backend
