// The log of writes: every way to write a page marks it, and reading does not.
#include "memory/dirty_pages.h"

#include <gtest/gtest.h>

#include "memory/guest_memory.h"
#include "memory/remap.h"

namespace eidolon::memory {
namespace {

using Numbers = std::vector<uint64_t>;

Numbers take(DirtyPages& pages) {
  Numbers numbers;
  pages.take([&numbers](uint64_t page) { numbers.push_back(page); });
  return numbers;
}

class WriteLog : public testing::Test {
 protected:
  WriteLog() {
    EXPECT_TRUE(memory->add_region(0, 0x10000, RegionKind::kRam));
    EXPECT_TRUE(memory->add_region(0x100000, 0x10000, RegionKind::kRam));
    memory->log_writes(true);
  }
  Numbers written() { return take(memory->dirty_pages()); }
  std::unique_ptr<GuestMemory> memory = *GuestMemory::create(0x20000);
};

TEST(DirtyPages, AreTakenOnce) {
  DirtyPages pages(1000);
  for (const uint64_t page : {999, 0, 64, 63, 64}) pages.mark(page);
  EXPECT_EQ(take(pages), (Numbers{0, 63, 64, 999}));
  EXPECT_TRUE(take(pages).empty());
}

TEST_F(WriteLog, NotesWritersAndWrites) {
  EXPECT_TRUE(written().empty());
  EXPECT_TRUE(memory->enter_writer(0x1008, 0));
  memory->before_write(0x2ffe, 4, 1);
  memory->after_foreign_write(0x105000, 1);
  const uint64_t value = 1;
  EXPECT_TRUE(memory->write(0x106000, &value, sizeof value));
  EXPECT_EQ(written(), (Numbers{1, 2, 3, 0x10 + 5, 0x10 + 6}));
}

TEST_F(WriteLog, NotesAPageWithTranslationsToo) {
  memory->mark_code(0x1000);
  EXPECT_FALSE(memory->enter_writer(0x1000, 0));
  EXPECT_EQ(written(), Numbers{1});
}

TEST_F(WriteLog, ReadingIsNoWriting) {
  uint64_t value = 0;
  EXPECT_TRUE(memory->read(0x1000, &value, sizeof value));
  EXPECT_NE(memory->host(0x2000, 8), nullptr);
  EXPECT_TRUE(written().empty());
}

TEST_F(WriteLog, GoesByTheMemoryAndNotByWhereItIsShown) {
  remap(*memory, 0x100000, memory->host(0, 1), RegionKind::kRam);
  memory->before_write(0x103000, 1);
  EXPECT_EQ(written(), Numbers{3});
}

TEST_F(WriteLog, BeginsEmptyAndEnds) {
  memory->before_write(0x1000, 1);
  memory->log_writes(true);
  EXPECT_TRUE(written().empty());
  memory->log_writes(false);
  memory->before_write(0x1000, 1);
  EXPECT_TRUE(written().empty());
}

}  // namespace
}  // namespace eidolon::memory
