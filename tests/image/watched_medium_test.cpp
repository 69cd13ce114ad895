// Whoever copies a medium that is used learns of every part that may differ from the copy.
#include "backend/image/watched_medium.h"

#include <gtest/gtest.h>

#include <thread>

#include "storage/memory_medium.h"

namespace eidolon::backend::image {
namespace {

using device::storage::IoStatus;
using Parts = std::vector<uint64_t>;
constexpr uint64_t kPart = WatchedMedium::kPart;

class Watched : public ::testing::Test {
 protected:
  void write(uint64_t offset, uint64_t length) {
    std::vector<uint8_t> bytes(length, 7);
    const iovec piece = {bytes.data(), bytes.size()};
    (void)watched.write(offset, {&piece, 1});
  }
  device::storage::MemoryMedium* inner = new device::storage::MemoryMedium(70 * kPart + 512);
  WatchedMedium watched{std::unique_ptr<device::storage::Medium>(inner)};
};

TEST_F(Watched, KnowsNothingUntilItIsAsked) {
  write(0, 512);
  EXPECT_EQ(watched.written(), 0u);
  watched.watch(true);
  EXPECT_EQ(watched.take_written(), Parts{}) << "that was before";
}

TEST_F(Watched, KnowsEveryKindOfWrite) {
  watched.watch(true);
  write(kPart - 512, 1024);
  (void)watched.write_zeroes(65 * kPart, 512, true);
  (void)watched.discard(3 * kPart, 2 * kPart);
  write(70 * kPart, 512);
  EXPECT_EQ(watched.parts(), 71u);
  EXPECT_EQ(watched.written(), 6u);
  EXPECT_EQ(watched.take_written(), (Parts{0, 1, 3, 4, 65, 70}));
  EXPECT_EQ(watched.take_written(), Parts{});
  std::vector<uint8_t> bytes(512);
  const iovec piece = {bytes.data(), bytes.size()};
  (void)watched.read(0, {&piece, 1});
  EXPECT_EQ(watched.written(), 0u);
  EXPECT_EQ(inner->bytes[kPart], 7) << "and does it";
}

TEST_F(Watched, AWriteAtOnceIsOne) {
  watched.watch(true);
  std::vector<uint8_t> bytes(512, 7);
  const iovec piece = {bytes.data(), bytes.size()};
  EXPECT_FALSE(watched.write_at_once(2 * kPart, {&piece, 1}));
  EXPECT_EQ(watched.take_written(), Parts{2}) << "it may have done some of it";
  inner->at_once = true;
  EXPECT_TRUE(watched.write_at_once(3 * kPart, {&piece, 1}));
  EXPECT_EQ(watched.take_written(), Parts{3});
  EXPECT_TRUE(watched.read_at_once(3 * kPart, {&piece, 1}));
  EXPECT_EQ(watched.written(), 0u);
}

TEST_F(Watched, AWriteThatFailsMayHaveDoneSome) {
  watched.watch(true);
  inner->result = IoStatus::kFailed;
  write(5 * kPart, 512);
  EXPECT_EQ(watched.take_written(), Parts{5});
}

TEST_F(Watched, AWriteUnderWayIsKnownWhenItHasEnded) {
  watched.watch(true);
  inner->hold = true;
  std::thread writer([this] { write(9 * kPart, 512); });
  while (inner->waiting == 0) std::this_thread::yield();
  EXPECT_EQ(watched.take_written(), Parts{}) << "a copy that is made now may have either";
  inner->hold = false;
  writer.join();
  EXPECT_EQ(watched.take_written(), Parts{9});
}

TEST_F(Watched, ForgetsWhenItIsOver) {
  watched.watch(true);
  write(0, 512);
  watched.watch(false);
  write(0, 512);
  EXPECT_EQ(watched.written(), 0u);
}

}  // namespace
}  // namespace eidolon::backend::image
