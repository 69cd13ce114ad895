// The user-mode network, with a card that asks who has the host's address; and how published ports are named.
#include "backend/user_network.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "backend/test_card.h"
#include "net/packets.h"

namespace eidolon::backend {
namespace {

/// "Who has 10.0.2.2? Tell 10.0.2.15." In another of a machine's networks, it is 10.0.3.2, and so on.
Frame arp_request(uint8_t number = 0) {
  Frame frame(60);
  const std::vector<uint8_t> head = {
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, 0, 1, 8, 0,  6, 4, 0,
      1,    0x52, 0x54, 0,    0x12, 0x34, 0x56, 10,   0, 2,    15,   0,    0, 0, 0, 0, 0, 10, 0, 2, 2};
  std::copy(head.begin(), head.end(), frame.begin());
  frame[30] = frame[40] = static_cast<uint8_t>(2 + number);
  return frame;
}

bool is_answer(const Frame& frame) {
  return frame.size() >= 42 && frame[12] == 8 && frame[13] == 6 && frame[21] == 2 && frame[28] == 10 &&
         frame[31] == 2;
}

TEST(UserNetwork, TheHostAnswersForItsAddress) {
  const auto network = *UserNetwork::create(0, {});
  TestCard card;
  network->plug(&card);
  card.to_send.push_back(arp_request());
  network->wake();
  EXPECT_TRUE(card.wait_for([&] { return !card.received.empty() && is_answer(card.received.back()); }));
  network->plug(nullptr);
}

TEST(UserNetwork, EachOfAMachineHasAddressesOfItsOwn) {
  const auto network = *UserNetwork::create(1, {});
  EXPECT_NE(network->name(), (*UserNetwork::create(0, {}))->name());
  TestCard card;
  network->plug(&card);
  card.to_send.push_back(arp_request(0));
  card.to_send.push_back(arp_request(1));
  network->wake();
  ASSERT_TRUE(card.wait_for([&] { return !card.received.empty() && is_answer(card.received.back()); }));
  EXPECT_EQ(card.received.back()[30], 3);
  EXPECT_EQ(card.received.size(), 1u) << "the other one is not here";
  network->plug(nullptr);
}

/// A guest that speaks TCP with a server on the host's loopback, one connection long.
class TcpGuest {
 public:
  TcpGuest(TestCard& card, UserNetwork& network, uint16_t port)
      : card_(card), network_(network), port_(port) {}
  void send(uint8_t flags, const Frame& payload = {}, device::net::Offload offload = {}) {
    Frame frame = device::net::tcp4(payload, sequence_, flags);
    device::net::put_16(frame, 36, port_);
    device::net::put_32(frame, 42, acknowledged_);
    device::net::put_16(frame, 48, 0xffff);
    std::ranges::copy(std::array<uint8_t, 6>{0x52, 0x55, 10, 0, 2, 2}, frame.begin());
    if (offload.finished()) {
      device::net::put_16(frame, 50, 0);
      offload = {.sum_missing = true,
                 .sum_start = 34,
                 .sum_offset = 16,
                 .cut = device::net::Cut::kTcp4,
                 .segment = 1460};
    }
    card_.change([&] {
      card_.sends = offload;
      card_.to_send.push_back(frame);
    });
    sequence_ += static_cast<uint32_t>(payload.size()) + ((flags & 2) != 0 ? 1 : 0);
    network_.wake();
  }
  void acknowledge_to(uint32_t sequence) { acknowledged_ = sequence; }

 private:
  TestCard& card_;
  UserNetwork& network_;
  const uint16_t port_;
  uint32_t sequence_ = 5000, acknowledged_ = 0;
};

/// libslirp's own limits are not those of a wire: a packet of 60,000 bytes arrives, and what comes back is
/// large.
TEST(UserNetwork, LargePacketsPassBothWays) {
  const FileDescriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);

  const auto network = *UserNetwork::create(0, {});
  TestCard card;
  card.takes_large = true;
  network->plug(&card);
  TcpGuest guest(card, *network, ntohs(address.sin_port));
  // Who we are, or libslirp has to ask first.
  card.to_send.push_back(arp_request());
  network->wake();
  ASSERT_TRUE(card.wait_for([&] { return !card.received.empty(); }));
  guest.send(2);
  const auto synchronized = [&] {
    return card.received.back().size() >= 54 && card.received.back()[47] == 0x12;
  };
  ASSERT_TRUE(card.wait_for(synchronized));
  uint32_t next = device::net::get_32(card.received.back(), 38) + 1;
  guest.acknowledge_to(next);
  guest.send(0x10);
  const FileDescriptor server(accept(listener.get(), nullptr, nullptr));
  ASSERT_TRUE(server.valid());

  const Frame payload = device::net::payload_of(60'000);
  guest.send(0x18, payload);
  Frame arrived(payload.size());
  for (size_t at = 0; at < arrived.size();) {
    const ssize_t count = read(server.get(), arrived.data() + at, arrived.size() - at);
    ASSERT_GT(count, 0);
    at += static_cast<size_t>(count);
  }
  EXPECT_EQ(arrived, payload);

  ASSERT_EQ(write(server.get(), payload.data(), 20'000), 20'000);
  const auto received_bytes = [&] {
    size_t bytes = 0;
    for (const Frame& frame : card.received)
      if (frame.size() > 60 && device::net::get_32(frame, 38) == next + bytes) bytes += frame.size() - 54;
    return bytes;
  };
  // It begins slowly, and sends more each time that it hears that something has come.
  for (size_t bytes = 0; bytes < 20'000;) {
    ASSERT_TRUE(card.wait_for([&] { return received_bytes() > bytes; }));
    card.change([&] { bytes = received_bytes(); });
    guest.acknowledge_to(next + static_cast<uint32_t>(bytes));
    guest.send(0x10);
  }
  const auto largest = std::ranges::max(card.received, {}, &Frame::size);
  EXPECT_GT(largest.size(), device::net::kLongestFrame)
      << "segments that follow each other were put together";
  network->plug(nullptr);
}

TEST(UserNetwork, FramesWaitForACardWithoutRoom) {
  const auto network = *UserNetwork::create(0, {});
  TestCard card;
  card.room = false;
  network->plug(&card);
  card.to_send.push_back(arp_request());
  network->wake();
  ASSERT_TRUE(card.wait_for([&] { return card.refused; }));
  card.change([&] { card.room = true; });
  network->wake();
  EXPECT_TRUE(card.wait_for([&] { return !card.received.empty() && is_answer(card.received.back()); }));
  network->plug(nullptr);
}

TEST(UserNetwork, GarbageFromTheGuestIsHarmless) {
  const auto network = *UserNetwork::create(0, {});
  TestCard card;
  network->plug(&card);
  for (size_t length = 1; length < 200; ++length) {
    Frame frame = arp_request();
    frame.resize(length, static_cast<uint8_t>(length));
    if (length > 14) frame[13] = length % 2 == 0 ? 0 : 6;  // IPv4 or ARP
    card.to_send.push_back(frame);
  }
  card.to_send.push_back(arp_request());  // sent last
  network->wake();
  EXPECT_TRUE(card.wait_for([&] { return !card.received.empty() && is_answer(card.received.back()); }));
  network->plug(nullptr);
}

TEST(UserNetwork, APortThatIsTakenIsRefused) {
  const PublishedPort port = *parse_published_port("49213:80");
  const auto first = UserNetwork::create(0, {&port, 1});
  ASSERT_TRUE(first) << first.error().message;
  const auto second = UserNetwork::create(0, {&port, 1});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("49213"), std::string::npos);
}

TEST(PublishedPort, HasAddressAndProtocolIfTheyAreNamed) {
  const PublishedPort plain = *parse_published_port("8080:80");
  EXPECT_EQ(plain.host_address, "127.0.0.1");
  EXPECT_EQ(plain.host_port, 8080);
  EXPECT_EQ(plain.guest_port, 80);
  EXPECT_FALSE(plain.udp);
  const PublishedPort full = *parse_published_port("0.0.0.0:5353:53/udp");
  EXPECT_EQ(full.host_address, "0.0.0.0");
  EXPECT_EQ(full.host_port, 5353);
  EXPECT_TRUE(full.udp);
}

TEST(PublishedPort, RejectsEverythingElse) {
  for (const char* text : {"", "80", ":80", "80:", "0:80", "80:0", "65536:80", "80:80/sctp", "x:80",
                           "host:80:80", "80:80x", "1.2.3:80:80", "::1:80:80"})
    EXPECT_FALSE(parse_published_port(text)) << text;
}

}  // namespace
}  // namespace eidolon::backend
