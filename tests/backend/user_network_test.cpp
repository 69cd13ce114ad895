// The user-mode network, with a card that asks who has the host's address; and how published ports are named.
#include "backend/user_network.h"

#include <gtest/gtest.h>

#include "backend/test_card.h"

namespace eidolon::backend {
namespace {

/// "Who has 10.0.2.2? Tell 10.0.2.15."
Frame arp_request() {
  Frame frame(60);
  const std::vector<uint8_t> head = {
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, 0, 1, 8, 0,  6, 4, 0,
      1,    0x52, 0x54, 0,    0x12, 0x34, 0x56, 10,   0, 2,    15,   0,    0, 0, 0, 0, 0, 10, 0, 2, 2};
  std::copy(head.begin(), head.end(), frame.begin());
  return frame;
}

bool is_answer(const Frame& frame) {
  return frame.size() >= 42 && frame[12] == 8 && frame[13] == 6 && frame[21] == 2 && frame[28] == 10 &&
         frame[31] == 2;
}

TEST(UserNetwork, TheHostAnswersForItsAddress) {
  const auto network = *UserNetwork::create({});
  TestCard card;
  network->plug(&card);
  card.to_send.push_back(arp_request());
  network->wake();
  EXPECT_TRUE(card.wait_for([&] { return !card.received.empty() && is_answer(card.received.back()); }));
  network->plug(nullptr);
}

TEST(UserNetwork, FramesWaitForACardWithoutRoom) {
  const auto network = *UserNetwork::create({});
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
  const auto network = *UserNetwork::create({});
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
  const auto first = UserNetwork::create({&port, 1});
  ASSERT_TRUE(first) << first.error().message;
  const auto second = UserNetwork::create({&port, 1});
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
