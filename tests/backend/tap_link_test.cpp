// A cable to a tap device, with a socket on the host's side of it.
#include "backend/tap_link.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>

#include "backend/own_network.h"
#include "backend/test_card.h"
#include "net/packets.h"

namespace eidolon::backend {
namespace {

/// Sends and receives frames of one type on the host's side.
class HostSide {
 public:
  static constexpr uint16_t kType = 0x88b5;  // for experiments

  explicit HostSide(const std::string& name) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kType);
    address.sll_ifindex = static_cast<int>(if_nametoindex(name.c_str()));
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    EXPECT_EQ(setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  }
  void send(const Frame& frame) {
    EXPECT_EQ(::send(fd_.get(), frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
  }
  Frame receive() {
    Frame frame(70000);
    const ssize_t count = recv(fd_.get(), frame.data(), frame.size(), 0);
    frame.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
    return frame;
  }

 private:
  FileDescriptor fd_{socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(kType))};
};

Frame frame_of(uint8_t content) {
  Frame frame(60, content);
  std::fill_n(frame.begin(), 6, uint8_t{0xff});
  frame[6] = 2;
  frame[12] = HostSide::kType >> 8;
  frame[13] = HostSide::kType & 0xff;
  return frame;
}

class TapLinkTest : public NamespaceTest {
 protected:
  static bool is_last(TestCard& card, const Frame& frame) {
    return card.wait_for([&] { return !card.received.empty() && card.received.back() == frame; });
  }
};

TEST_F(TapLinkTest, FramesPassBothWays) {
  if (!inside()) return;
  make_tap("tap0");
  const auto link = TapLink::create("tap0");
  ASSERT_TRUE(link) << link.error().message;
  HostSide host("tap0");
  TestCard card;
  (*link)->plug(&card);
  (*link)->wake();
  ASSERT_TRUE(card.wait_for([&] { return card.link == true; }));
  card.change([&] { card.to_send.push_back(frame_of(1)); });
  (*link)->wake();
  EXPECT_EQ(host.receive(), frame_of(1));
  host.send(frame_of(2));
  EXPECT_TRUE(is_last(card, frame_of(2)));
  card.change([&] { card.room = false; });
  host.send(frame_of(3));
  host.send(frame_of(4));
  ASSERT_TRUE(card.wait_for([&] { return card.refused; }));
  card.change([&] { card.room = true; });
  (*link)->wake();
  EXPECT_TRUE(is_last(card, frame_of(4)));
  card.change([&] { EXPECT_EQ(card.received[card.received.size() - 2], frame_of(3)); });
  (*link)->plug(nullptr);
}

/// The kernel fills in the checksum, or it would lose the packet before it comes to a socket.
TEST_F(TapLinkTest, WhatIsLeftToDoIsLeftToTheHost) {
  if (!inside()) return;
  make_tap("tap0", "10.7.0.1");
  const auto link = TapLink::create("tap0");
  ASSERT_TRUE(link) << link.error().message;
  const FileDescriptor socket_of_host(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  ASSERT_EQ(bind(socket_of_host.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  setsockopt(socket_of_host.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  Frame frame(14 + 20 + 8 + 5);
  const std::vector<uint8_t> head = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   0,   0,   0,   0,  1,
                                     8,    0,    0x45, 0,    0,    33,   0,   0,   0,   0,   64, 17,
                                     0,    0,    10,   7,    0,    2,    10,  7,   0,   1,   0,  7,
                                     0,    9,    0,    13,   0,    0,    'h', 'e', 'l', 'l', 'o'};
  std::ranges::copy(head, frame.begin());
  device::net::put_16(frame, 24,
                      static_cast<uint16_t>(~device::net::internet_sum(std::span(frame).subspan(14, 20))));
  device::net::put_16(frame, 40, device::net::internet_sum(std::span(frame).subspan(26, 8), 17 + 13));
  TestCard card;
  card.sends = {.sum_missing = true, .sum_start = 34, .sum_offset = 6};
  card.to_send.push_back(frame);
  (*link)->plug(&card);
  (*link)->wake();
  std::array<char, 16> text{};
  EXPECT_EQ(recv(socket_of_host.get(), text.data(), text.size(), 0), 5);
  EXPECT_STREQ(text.data(), "hello");
  (*link)->plug(nullptr);
}

TEST_F(TapLinkTest, TheLinkIsDownWhileTheDeviceIsGone) {
  if (!inside()) return;
  make_tap("tap0");
  const auto link = TapLink::create("tap0");
  ASSERT_TRUE(link) << link.error().message;
  TestCard card;
  (*link)->plug(&card);
  (*link)->wake();
  ASSERT_TRUE(card.wait_for([&] { return card.link == true; }));
  remove_tap("tap0");
  ASSERT_TRUE(card.wait_for([&] { return card.link == false; }));
  make_tap("tap0");
  ASSERT_TRUE(card.wait_for([&] { return card.link == true; }));
  HostSide host("tap0");
  host.send(frame_of(5));
  EXPECT_TRUE(is_last(card, frame_of(5)));
  (*link)->plug(nullptr);
}

TEST_F(TapLinkTest, AnotherProcessMayHaveItForAWhile) {
  if (!inside()) return;
  make_tap("tap0");
  const auto link = TapLink::create("tap0");
  ASSERT_TRUE(link) << link.error().message;
  TestCard card;
  (*link)->plug(&card);
  EXPECT_FALSE(TapLink::create("tap0")) << "one at a time";
  (*link)->let_go();
  {
    const auto other = TapLink::create("tap0");
    EXPECT_TRUE(other) << other.error().message;
  }
  EXPECT_TRUE((*link)->take_back());
  EXPECT_TRUE(card.wait_for([&] { return card.link == true; }));
  (*link)->plug(nullptr);
}

TEST_F(TapLinkTest, WhatIsNoDeviceForThisUserIsRefused) {
  if (!inside()) return;
  const auto refusal = [](const std::string& name) {
    const auto link = TapLink::create(name);
    return link ? "(accepted)" : link.error().message;
  };
  EXPECT_NE(refusal("tap9").find("ip tuntap add dev tap9"), std::string::npos) << refusal("tap9");
  EXPECT_NE(refusal("lo").find("'lo'"), std::string::npos) << refusal("lo");
  EXPECT_NE(refusal("").find("ifname=tap0"), std::string::npos);
  EXPECT_NE(refusal("a-name-that-is-too-long").find("ifname=tap0"), std::string::npos);
}

}  // namespace
}  // namespace eidolon::backend
