#include "migration/message.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "migration/pair.h"

namespace eidolon::migration {
namespace {

std::vector<uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Message, ComesAsItWasSent) {
  Pair pair;
  ASSERT_TRUE(send_message(*pair.one, Kind::kReady));
  ASSERT_TRUE(send_message(*pair.one, Kind::kState, bytes_of("state")));
  EXPECT_TRUE(expect(*pair.other, Kind::kReady));
  const auto message = receive_message(*pair.other);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, Kind::kState);
  EXPECT_EQ(message->payload, bytes_of("state"));
}

TEST(Message, ALongOneDoesNotFitTheSocketAtOnce) {
  Pair pair;
  const std::vector<uint8_t> payload(kLongestPayload, 0xa5);
  std::thread sender([&] { EXPECT_TRUE(send_message(*pair.one, Kind::kPages, payload)); });
  const auto message = receive_message(*pair.other);
  sender.join();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->payload, payload);
}

TEST(Message, ARefusalIsTheErrorWithoutWhatATerminalWouldObey) {
  Pair pair;
  ASSERT_TRUE(send_refusal(*pair.one, "no\x1b[2Jdisk"));
  const auto ready = expect(*pair.other, Kind::kReady);
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().message, "no?[2Jdisk");
}

TEST(Message, WhatIsNoneIsASentence) {
  for (const std::string_view text :
       {std::string_view("GET / HTTP/1.1\r\nHost: example\r\n\r\n"),
        std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                         "\xff\xff\xff\xff\xff\xff\xff\xff")}) {
    Pair pair;
    ASSERT_TRUE(pair.one->send(bytes_of(text)));
    EXPECT_FALSE(receive_message(*pair.other));
  }
}

TEST(Message, AFlippedBitIsNoticed) {
  Pair from, to;
  ASSERT_TRUE(send_message(*from.one, Kind::kState, bytes_of("state")));
  std::array<uint8_t, 24 + 5> bytes{};
  ASSERT_TRUE(from.other->receive(bytes));
  bytes[26] ^= 4;
  ASSERT_TRUE(to.one->send(bytes));
  EXPECT_FALSE(receive_message(*to.other));
}

TEST(Message, APeerThatGoesAwayIsASentence) {
  Pair pair;
  ASSERT_TRUE(pair.one->send(bytes_of("half a header")));
  pair.one.reset();
  EXPECT_FALSE(receive_message(*pair.other));
  const std::vector<uint8_t> much(8 << 20);
  EXPECT_FALSE(pair.other->send(much));
}

TEST(Message, APeerThatSaysNothingIsNotWaitedForForever) {
  Pair pair;
  EXPECT_FALSE(receive_message(*pair.other, 0));
}

TEST(Message, CancellingEndsAWait) {
  Pair pair;
  std::thread canceller([&] { pair.cancelled.raise(); });
  const auto message = receive_message(*pair.other);
  canceller.join();
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().message, "it was cancelled");
  const std::vector<uint8_t> much(8 << 20);
  EXPECT_FALSE(pair.other->send(much));
}

}  // namespace
}  // namespace eidolon::migration
