// Pages that are sent arrive; what is none of the machine's does not.
#include "migration/pages.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "migration/message.h"
#include "migration/pair.h"
#include "snapshot/mapped_memory.h"
#include "snapshot/memory_index.h"

namespace eidolon::migration {
namespace {

using snapshot::kPageBytes;

using Memory = snapshot::MappedMemory;

constexpr uint64_t kPages = 1024;
const MemoryLayout kLayout{{{0, 600 * kPageBytes}, {700 * kPageBytes, 324 * kPageBytes}}};

class Pages : public ::testing::Test {
 protected:
  Pages()
      : source(kPages * kPageBytes), target(kPages * kPageBytes), receiver(*PageReceiver::create(kLayout)) {
    std::mt19937 random(7);
    for (uint64_t page = 0; page < kPages; page += 3)
      for (uint8_t& byte : page_of(source, page)) byte = static_cast<uint8_t>(random() | 1);
  }
  static std::span<uint8_t> page_of(Memory& memory, uint64_t page) {
    return memory.bytes().subspan(page * kPageBytes, kPageBytes);
  }
  static bool is_sent(uint64_t page) { return kLayout.has_page(page); }
  void receive_all() {
    while (pair.other->readable()) {
      const auto message = receive_message(*pair.other);
      ASSERT_TRUE(message);
      ASSERT_EQ(message->kind, Kind::kPages);
      const Result<> taken = receiver.take(message->payload);
      ASSERT_TRUE(taken) << taken.error().message;
    }
  }
  static std::vector<uint8_t> payload(std::initializer_list<uint64_t> numbers, uint64_t bytes) {
    std::vector<uint8_t> result(numbers.size() * 8 + bytes, 1);
    std::memcpy(result.data(), std::data(numbers), numbers.size() * 8);
    return result;
  }

  Memory source, target;
  PageReceiver receiver;
  Pair pair;
};

TEST_F(Pages, ArriveWhereTheyWere) {
  PageSender sender(*pair.one, source.bytes());
  for (uint64_t page = 0; page < kPages; ++page) {
    if (is_sent(page)) {
      ASSERT_TRUE(sender.add(page, PageSender::Zeros::kLeaveOut));
    }
    if (page % 8 == 0) {
      ASSERT_TRUE(sender.flush());
      receive_all();
    }
  }
  // Changed since: one becomes zeros, one more is none any more.
  std::ranges::fill(page_of(source, 3), 0);
  std::ranges::fill(page_of(source, 4), 9);
  ASSERT_TRUE(sender.add(3, PageSender::Zeros::kTell));
  ASSERT_TRUE(sender.add(4, PageSender::Zeros::kTell));
  ASSERT_TRUE(sender.flush());
  receive_all();
  ASSERT_TRUE(receiver.move_into(target.bytes()));
  for (uint64_t page = 0; page < kPages; ++page)
    if (is_sent(page)) {
      EXPECT_EQ(std::memcmp(page_of(source, page).data(), page_of(target, page).data(), kPageBytes), 0)
          << page;
    } else {
      EXPECT_EQ(page_of(target, page)[0], 0) << page;
    }
}

TEST_F(Pages, OfOthersAreRefused) {
  for (const uint64_t page :
       {uint64_t{600}, uint64_t{699}, uint64_t{1024}, uint64_t{1} << 40, ~uint64_t{0} >> 1}) {
    EXPECT_FALSE(receiver.take(payload({1, page << 1}, kPageBytes))) << page;
    EXPECT_FALSE(receiver.take(payload({1, page << 1 | 1}, 0))) << page;
  }
}

TEST_F(Pages, ListsThatAreNoneAreRefused) {
  EXPECT_FALSE(receiver.take({}));
  EXPECT_FALSE(receiver.take(payload({0}, 0)));
  EXPECT_FALSE(receiver.take(payload({2, 1 << 1}, kPageBytes))) << "an entry is missing, or bytes are";
  EXPECT_FALSE(receiver.take(payload({1, 1 << 1}, kPageBytes - 1)));
  EXPECT_FALSE(receiver.take(payload({1, 1 << 1}, kPageBytes + 1)));
  EXPECT_FALSE(receiver.take(payload({~uint64_t{0}, 1 << 1}, kPageBytes)));
  EXPECT_FALSE(receiver.take(payload({kMostPages + 1}, (kMostPages + 1) * (8 + kPageBytes))));
  EXPECT_TRUE(receiver.take(payload({1, 1 << 1}, kPageBytes)));
}

TEST(Layout, IsWholePagesInOrder) {
  EXPECT_TRUE(kLayout.possible(kPages * kPageBytes));
  EXPECT_FALSE(kLayout.possible((kPages - 1) * kPageBytes)) << "more than there is";
  EXPECT_FALSE(MemoryLayout{}.possible(1 << 30));
  EXPECT_FALSE((MemoryLayout{{{0, 4096}, {0, 4096}}}.possible(1 << 30)));
  EXPECT_FALSE((MemoryLayout{{{4096, 4096}, {0, 4096}}}.possible(1 << 30)));
  EXPECT_FALSE((MemoryLayout{{{0, 0}}}.possible(1 << 30)));
  EXPECT_FALSE((MemoryLayout{{{12, 4096}}}.possible(1 << 30)));
  EXPECT_FALSE((MemoryLayout{{{4096, ~uint64_t{0} & ~uint64_t{4095}}}}.possible(1 << 30)));
}

}  // namespace
}  // namespace eidolon::migration
