// Sets of pages, and how they are told to the other side.
#include "migration/page_set.h"

#include <gtest/gtest.h>

#include <cstring>

#include "migration/message.h"
#include "migration/pair.h"

namespace eidolon::migration {
namespace {

/// Pages 0 to 599 and 700 to 999.
const MemoryLayout kLayout{{{0, 600 * 4096}, {700 * 4096, 300 * 4096}}};

std::vector<uint8_t> payload(std::initializer_list<PageRun> runs) {
  std::vector<uint8_t> bytes(runs.size() * sizeof(PageRun));
  std::memcpy(bytes.data(), std::data(runs), bytes.size());
  return bytes;
}

TEST(PageSet, HasWhatWasAdded) {
  PageSet set(kLayout);
  EXPECT_TRUE(set.empty());
  set.add(5);
  set.add(5);
  set.add(999);
  EXPECT_EQ(set.size(), 2u);
  EXPECT_TRUE(set.has(999));
  EXPECT_FALSE(set.has(6));
  EXPECT_FALSE(set.has(1u << 30)) << "of no layout";
  EXPECT_TRUE(set.remove(5));
  EXPECT_FALSE(set.remove(5));
  EXPECT_FALSE(set.remove(1u << 30));
  EXPECT_EQ(set.size(), 1u);
}

TEST(PageSet, GoesRoundFromAnyPage) {
  PageSet set(kLayout);
  EXPECT_EQ(set.next(0), std::nullopt);
  set.add(3);
  set.add(130);
  EXPECT_EQ(set.next(0), 3u);
  EXPECT_EQ(set.next(3), 3u);
  EXPECT_EQ(set.next(4), 130u);
  EXPECT_EQ(set.next(131), 3u) << "from the beginning again";
  EXPECT_EQ(set.next(~uint64_t{0}), 3u);
}

TEST(PageSet, ArrivesAsItWas) {
  Pair pair;
  PageSet set(kLayout), other(kLayout);
  for (uint64_t page = 60; page < 70; ++page) set.add(page);
  set.add(0);
  set.add(599);
  set.add(700);
  ASSERT_TRUE(set.send(*pair.one));
  const auto message = expect(*pair.other, Kind::kMissing);
  ASSERT_TRUE(message);
  ASSERT_TRUE(other.take(message->payload, kLayout));
  EXPECT_EQ(other.runs(), (std::vector<PageRun>{{0, 1}, {60, 10}, {599, 1}, {700, 1}}));
  EXPECT_EQ(other.size(), 13u);
}

TEST(PageSet, ListsOfOtherPagesAreRefused) {
  PageSet set(kLayout);
  for (const PageRun run : {PageRun{600, 1}, PageRun{599, 2}, PageRun{0, 0}, PageRun{699, 2},
                            PageRun{700, 301}, PageRun{1, ~uint64_t{0}}, PageRun{~uint64_t{0}, 2}})
    EXPECT_FALSE(set.take(payload({run}), kLayout)) << run.first << " " << run.count;
  EXPECT_FALSE(set.take(std::vector<uint8_t>(15), kLayout)) << "half a run";
  EXPECT_TRUE(set.take(payload({{0, 600}, {700, 300}}), kLayout));
  EXPECT_EQ(set.size(), 900u);
}

}  // namespace
}  // namespace eidolon::migration
