// Parts of disks that are sent arrive; what is none of the machine's does not, and what is not whole looks
// like nothing.
#include "migration/disk_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <future>

#include "migration/message.h"
#include "migration/pair.h"
#include "storage/memory_medium.h"

namespace eidolon::migration {
namespace {

using device::storage::IoStatus;
using device::storage::MemoryMedium;

constexpr uint64_t kBytes = 2 * kMostDiskBytes + 1024;

bool is(const MemoryMedium& medium, uint64_t offset, uint64_t length, uint8_t byte) {
  const auto from = medium.bytes.begin() + static_cast<ptrdiff_t>(offset);
  return std::all_of(from, from + static_cast<ptrdiff_t>(length), [byte](uint8_t b) { return b == byte; });
}

class DiskParts : public ::testing::Test {
 protected:
  DiskParts() {
    std::ranges::fill(source.bytes, uint8_t{7});
    std::ranges::fill(target.bytes, uint8_t{9});
  }
  std::vector<Disk> of(MemoryMedium& medium) {
    return {{.path = "first", .medium = &other}, {.path = "second", .medium = &medium}};
  }
  std::vector<uint8_t> sent(uint64_t offset, uint64_t length) {
    // More than a socket holds.
    auto sending = std::async(std::launch::async, [&] {
      return send_disk_part(*pair.one, of(source), 1, offset, length).has_value();
    });
    auto message = expect(*pair.other, Kind::kDisk);
    EXPECT_TRUE(sending.get());
    return message->payload;
  }
  MemoryMedium source{kBytes}, target{kBytes}, other{512};
  DiskReceiver receiver{of(target)};
  Pair pair;
};

TEST_F(DiskParts, ArriveWhereTheyWere) {
  ASSERT_TRUE(receiver.take(sent(512, 1024)));
  ASSERT_TRUE(receiver.take(sent(kMostDiskBytes, 512)));
  ASSERT_TRUE(receiver.take(sent(kBytes - 512, 512)));
  ASSERT_TRUE(receiver.finish());
  EXPECT_TRUE(is(target, 0, 512, 0));
  EXPECT_TRUE(is(target, 512, 1024, 7));
  EXPECT_TRUE(is(target, 1536, kMostDiskBytes - 1536, 0));
  EXPECT_TRUE(is(target, kMostDiskBytes, 512, 7));
  EXPECT_TRUE(is(target, kMostDiskBytes + 512, kMostDiskBytes, 9));
  EXPECT_TRUE(is(target, kBytes - 512, 512, 7));
}

TEST_F(DiskParts, HaveNoBeginningBeforeTheEnd) {
  EXPECT_TRUE(is(target, 0, kBytes, 9)) << "nothing has come";
  ASSERT_TRUE(receiver.take(sent(kMostDiskBytes, kMostDiskBytes)));
  EXPECT_TRUE(is(target, 0, kMostDiskBytes, 0)) << "what was there before";
  ASSERT_TRUE(receiver.take(sent(0, kMostDiskBytes)));
  EXPECT_TRUE(is(target, 0, kMostDiskBytes, 0));
  const unsigned before = target.flushes;
  ASSERT_TRUE(receiver.finish());
  EXPECT_TRUE(is(target, 0, 2 * kMostDiskBytes, 7));
  EXPECT_EQ(target.flushes, before + 2) << "the rest first, and then the beginning";
}

TEST_F(DiskParts, ZerosAreOnlyTold) {
  std::ranges::fill(source.bytes, uint8_t{0});
  for (const uint64_t offset : {uint64_t{0}, kMostDiskBytes}) {
    const auto part = sent(offset, kMostDiskBytes);
    EXPECT_LT(part.size(), 64u);
    ASSERT_TRUE(receiver.take(part));
  }
  ASSERT_TRUE(receiver.finish());
  EXPECT_TRUE(is(target, 0, 2 * kMostDiskBytes, 0));
}

TEST_F(DiskParts, ABeginningMayBecomeZerosAgain) {
  ASSERT_TRUE(receiver.take(sent(0, 1024)));
  std::ranges::fill(source.bytes, uint8_t{0});
  ASSERT_TRUE(receiver.take(sent(0, 512)));
  ASSERT_TRUE(receiver.finish());
  EXPECT_TRUE(is(target, 0, 512, 0));
  EXPECT_TRUE(is(target, 512, 512, 7));
}

TEST_F(DiskParts, DisksThatFailAreSentences) {
  const auto part = sent(kMostDiskBytes, 512);
  ASSERT_TRUE(receiver.take(part));
  source.result = IoStatus::kFailed;
  const auto unread = send_disk_part(*pair.one, of(source), 1, 0, 512);
  ASSERT_FALSE(unread);
  EXPECT_NE(unread.error().message.find("'second'"), std::string::npos) << unread.error().message;
  target.result = IoStatus::kNoSpace;
  const auto full = receiver.take(part);
  ASSERT_FALSE(full);
  EXPECT_NE(full.error().message.find("no room"), std::string::npos) << full.error().message;
  EXPECT_FALSE(receiver.finish());
}

TEST_F(DiskParts, WhatIsNoneIsRefused) {
  const std::vector<uint8_t> good = sent(kMostDiskBytes - 512, 512);
  const auto refused = [&](size_t at, uint64_t value) {
    std::vector<uint8_t> bad = good;
    std::memcpy(&bad[at], &value, at < 8 ? 4 : 8);
    return !receiver.take(bad);
  };
  EXPECT_TRUE(refused(0, 2)) << "a third disk";
  EXPECT_TRUE(refused(4, 1));
  EXPECT_TRUE(refused(8, kBytes)) << "behind its end";
  EXPECT_TRUE(refused(8, ~uint64_t{511})) << "far behind it";
  EXPECT_TRUE(refused(8, 100)) << "within a sector";
  EXPECT_TRUE(refused(16, 1024)) << "longer than what comes";
  EXPECT_TRUE(refused(16, 0));
  EXPECT_TRUE(refused(16, ~uint64_t{511}));
  for (size_t length = 0; length < good.size(); ++length)
    if (length != 24) {
      EXPECT_FALSE(receiver.take(Bytes(good).first(length))) << length;
    }
  std::vector<uint8_t> across(good.begin(), good.begin() + 24);
  const uint64_t two_sectors = 1024;
  std::memcpy(&across[16], &two_sectors, 8);
  EXPECT_FALSE(receiver.take(across)) << "beyond the beginning";
  EXPECT_TRUE(is(target, 0, kBytes, 9));
  EXPECT_TRUE(receiver.take(good));
}

}  // namespace
}  // namespace eidolon::migration
