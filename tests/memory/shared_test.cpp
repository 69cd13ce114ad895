// Guest memory that other processes can be given.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/discard.h"
#include "memory/guest_memory.h"
#include "x86/paging.h"

namespace eidolon::memory {
namespace {

constexpr uint64_t kPage = x86::kPageSize, kLength = 16 * kPage;

class SharedMemoryTest : public testing::Test {
 protected:
  SharedMemoryTest() { EXPECT_TRUE(memory->add_region(0x100000, kLength, RegionKind::kRam)); }
  std::unique_ptr<GuestMemory> memory = *GuestMemory::create(kLength, GuestMemory::Backing::kShared);
};

TEST_F(SharedMemoryTest, TheFileBeginsWithTheBytes) {
  ASSERT_GE(memory->shared_file(), 0);
  const uint32_t value = 0x12345678;
  ASSERT_TRUE(memory->write(0x100000 + kPage + 4, &value, sizeof value));
  void* other = mmap(nullptr, kLength, PROT_READ | PROT_WRITE, MAP_SHARED, memory->shared_file(), 0);
  ASSERT_NE(other, MAP_FAILED);
  auto* words = static_cast<uint32_t*>(other);
  EXPECT_EQ(words[kPage / 4 + 1], value);
  words[0] = 7;
  uint32_t seen = 0;
  ASSERT_TRUE(memory->read(0x100000, &seen, sizeof seen));
  EXPECT_EQ(seen, 7u);
  munmap(other, kLength);
}

TEST_F(SharedMemoryTest, NobodyTakesPagesAway) {
  EXPECT_NE(ftruncate(memory->shared_file(), kPage), 0);
  EXPECT_EQ(fcntl(memory->shared_file(), F_GET_SEALS) & F_SEAL_SHRINK, F_SEAL_SHRINK);
}

TEST_F(SharedMemoryTest, WhatIsDiscardedReadsAsZeros) {
  const uint32_t value = 1;
  ASSERT_TRUE(memory->write(0x100000, &value, sizeof value));
  discard(memory->bytes().first(kPage));
  uint32_t seen = 1;
  ASSERT_TRUE(memory->read(0x100000, &seen, sizeof seen));
  EXPECT_EQ(seen, 0u);
}

TEST(PrivateMemory, HasNoFile) { EXPECT_EQ((*GuestMemory::create(kLength))->shared_file(), -1); }

}  // namespace
}  // namespace eidolon::memory
