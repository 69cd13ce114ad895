#include "migration/place.h"

#include <gtest/gtest.h>

namespace eidolon::migration {
namespace {

TEST(Place, IsWhatItIsWrittenAs) {
  for (const char* text :
       {"unix:/tmp/a b", "unix:x", "tcp:localhost:1", "tcp:10.0.0.1:65535", "tcp:[::1]:4444"}) {
    const auto place = parse_place(text);
    ASSERT_TRUE(place) << text;
    EXPECT_EQ(to_string(*place), text);
  }
  EXPECT_EQ(parse_place("tcp:[fe80::1]:7")->host, "fe80::1");
}

TEST(Place, AnythingElseIsASentence) {
  for (const char* text :
       {"", "unix:", "tcp:", "tcp:host", "tcp:host:", "tcp:host:0", "tcp:host:65536", "tcp:host:1x", "tcp::1",
        "tcp:::1:5", "tcp:[]:5", "host:5", "udp:host:5", "tcp:host:-1"})
    EXPECT_FALSE(parse_place(text)) << text;
}

TEST(Place, OnlyTheHostsOwnAreOutOfSight) {
  for (const char* text : {"unix:/x", "tcp:localhost:1", "tcp:127.0.0.1:1", "tcp:[::1]:1"})
    EXPECT_TRUE(stays_here(*parse_place(text))) << text;
  for (const char* text : {"tcp:0.0.0.0:1", "tcp:10.0.0.1:1", "tcp:localhost.example:1", "tcp:[::]:1"})
    EXPECT_FALSE(stays_here(*parse_place(text))) << text;
}

}  // namespace
}  // namespace eidolon::migration
