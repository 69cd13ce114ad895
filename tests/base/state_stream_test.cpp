#include "base/state_stream.h"

#include <gtest/gtest.h>

namespace eidolon {
namespace {

TEST(StateStream, ReadsBackWhatWasWritten) {
  StateWriter writer;
  writer.begin("part", 3);
  writer(uint8_t{7}, int64_t{-5}, true, std::array<uint16_t, 2>{1, 0xffff}, std::vector<uint8_t>{9, 8});
  writer.end();
  StateReader reader(writer.bytes());
  uint8_t a = 0;
  int64_t b = 0;
  bool c = false;
  std::array<uint16_t, 2> d{};
  std::vector<uint8_t> e;
  EXPECT_EQ(reader.begin("part"), 3u);
  reader(a, b, c, d, e);
  reader.end();
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(a, 7);
  EXPECT_EQ(b, -5);
  EXPECT_TRUE(c);
  EXPECT_EQ(d[1], 0xffff);
  EXPECT_EQ(e, (std::vector<uint8_t>{9, 8}));
}

TEST(StateStream, SkipsFieldsOfANewerVersion) {
  StateWriter writer;
  writer.begin("a", 2);
  writer(uint32_t{1}, uint32_t{2});
  writer.end();
  writer.begin("b", 1);
  writer(uint32_t{3});
  writer.end();
  StateReader reader(writer.bytes());
  uint32_t value = 0;
  reader.begin("a");
  reader(value);
  reader.end();
  EXPECT_EQ(reader.begin("b"), 1u);
  reader(value);
  EXPECT_EQ(value, 3u);
  EXPECT_FALSE(reader.failed());
}

TEST(StateStream, RefusesAnotherSection) {
  StateWriter writer;
  writer.begin("a", 1);
  writer.end();
  StateReader reader(writer.bytes());
  EXPECT_EQ(reader.begin("b"), 0u);
  EXPECT_TRUE(reader.failed());
}

TEST(StateStream, FailsAtEveryTruncation) {
  StateWriter writer;
  writer.begin("a", 1);
  writer(uint64_t{1}, std::vector<uint8_t>(10, 1));
  writer.end();
  for (size_t length = 0; length < writer.bytes().size(); ++length) {
    StateReader reader(std::span(writer.bytes()).first(length));
    uint64_t value = 5;
    std::vector<uint8_t> bytes;
    reader.begin("a");
    reader(value, bytes);
    EXPECT_TRUE(reader.failed()) << length;
  }
}

TEST(StateStream, AFieldDoesNotReachIntoTheNextSection) {
  StateWriter writer;
  writer.begin("a", 1);
  writer(uint8_t{1});
  writer.end();
  writer.begin("b", 1);
  writer(uint64_t{2});
  writer.end();
  StateReader reader(writer.bytes());
  uint64_t value = 0;
  reader.begin("a");
  reader(value);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(value, 0u);
}

}  // namespace
}  // namespace eidolon
