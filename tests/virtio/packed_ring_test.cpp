// The packed ring, with the driver's side played by hand.
#include <gtest/gtest.h>

#include "device/virtio/ring.h"

namespace eidolon::device::virtio {
namespace {

constexpr GuestPhysical kRing = 0x10000, kDriver = 0x11000, kDevice = 0x12000, kData = 0x40000;
constexpr uint64_t kMemory = 0x100000;
constexpr uint16_t kSize = 5;  // any number will do
constexpr uint16_t kNext = 1, kWrite = 2, kIndirect = 4, kAvailable = 1u << 7, kUsed = 1u << 15;

class PackedRingTest : public testing::Test {
 protected:
  PackedRingTest() { EXPECT_TRUE(memory->add_region(0, kMemory, memory::RegionKind::kRam)); }
  void make(uint64_t features = kFeatureVersion1 | kFeaturePacked | kFeatureIndirect) {
    ring = Ring::create(dma, place, features);
    ASSERT_NE(ring, nullptr);
  }
  template <typename T>
  void put(GuestPhysical at, T value) {
    EXPECT_TRUE(memory->write(at, &value, sizeof value));
  }
  template <typename T>
  T get(GuestPhysical at) {
    T value{};
    EXPECT_TRUE(memory->read(at, &value, sizeof value));
    return value;
  }
  void descriptor(GuestPhysical at, GuestPhysical address, uint32_t length, uint16_t id, uint16_t flags) {
    put(at, address);
    put(at + 8, length);
    put(at + 12, id);
    put(at + 14, flags);
  }
  /// Makes the next descriptor available, as a driver that goes round does.
  void offer(uint32_t length, uint16_t id, uint16_t flags) {
    descriptor(kRing + next * 16u, kData, length, id,
               static_cast<uint16_t>(flags | (wrap ? kAvailable : kUsed)));
    if (++next == kSize) {
      next = 0;
      wrap = !wrap;
    }
  }
  uint16_t flags_of(unsigned index) { return get<uint16_t>(kRing + index * 16 + 14); }

  std::unique_ptr<memory::GuestMemory> memory = *memory::GuestMemory::create(kMemory);
  Dma dma{*memory};
  const RingPlace place = {.size = kSize, .descriptors = kRing, .driver = kDriver, .device = kDevice};
  std::unique_ptr<Ring> ring;
  Chain chain;
  uint16_t next = 0;
  bool wrap = true;
};

TEST_F(PackedRingTest, TakesAndGivesBackOverManyRounds) {
  make();
  EXPECT_EQ(ring->take(chain), Take::kEmpty);
  for (uint16_t i = 0; i < 1000; ++i) {
    const unsigned first = next;
    const bool round = wrap;
    offer(16, 0, kNext);
    offer(8, i, kWrite);
    ASSERT_EQ(ring->take(chain), Take::kChain);
    EXPECT_EQ(chain.id, i);
    EXPECT_EQ(chain.slots, 2u);
    EXPECT_EQ(chain.readable_bytes(), 16u);
    EXPECT_EQ(chain.writable_bytes(), 8u);
    ASSERT_TRUE(ring->give_back(chain, 8));
    EXPECT_EQ(get<uint16_t>(kRing + first * 16 + 12), i);
    EXPECT_EQ(get<uint32_t>(kRing + first * 16 + 8), 8u);
    EXPECT_EQ(flags_of(first) & (kAvailable | kUsed), round ? kAvailable | kUsed : 0);
    ASSERT_EQ(ring->take(chain), Take::kEmpty);
  }
}

TEST_F(PackedRingTest, WhatIsPutBackIsTheNextAgainAcrossTheEnd) {
  make();
  for (uint16_t i = 0; i < 100; ++i) {
    offer(16, i, kNext | kWrite);
    offer(16, i, kWrite);
    ASSERT_EQ(ring->take(chain), Take::kChain);
    ring->put_back();
    ASSERT_EQ(ring->take(chain), Take::kChain);
    EXPECT_EQ(chain.id, i);
    EXPECT_EQ(chain.writable_bytes(), 32u);
    EXPECT_EQ(ring->take(chain), Take::kEmpty);
    ASSERT_TRUE(ring->give_back(chain, 32));
  }
}

TEST_F(PackedRingTest, IndirectTablesAreFollowed) {
  make();
  descriptor(kData + 0x1000, kData, 16, 0, 0);
  descriptor(kData + 0x1010, kData, 32, 0, kWrite);
  descriptor(kRing, kData + 0x1000, 32, 7, kIndirect | kAvailable);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  EXPECT_EQ(chain.id, 7u);
  EXPECT_EQ(chain.readable_bytes(), 16u);
  EXPECT_EQ(chain.writable_bytes(), 32u);
}

TEST_F(PackedRingTest, EventSuppressionIsRespectedAndWritten) {
  make(kFeatureVersion1 | kFeaturePacked | kFeatureEventIndex);
  const auto once = [this] {
    offer(8, 0, kWrite);
    EXPECT_EQ(ring->take(chain), Take::kChain);
    EXPECT_TRUE(ring->give_back(chain, 8));
    return ring->interrupt_wanted();
  };
  EXPECT_TRUE(once()) << "enabled";
  put<uint16_t>(kDriver + 2, 1);
  EXPECT_FALSE(once()) << "disabled";
  put<uint16_t>(kDriver + 2, 2);
  put<uint16_t>(kDriver, 3 | 1u << 15);  // descriptor 3 of this round
  EXPECT_FALSE(once());
  EXPECT_TRUE(once());
  put<uint16_t>(kDriver, 0);  // descriptor 0 of the next round
  EXPECT_FALSE(once());
  EXPECT_TRUE(once());
  EXPECT_FALSE(ring->rearm());
  EXPECT_EQ(get<uint16_t>(kDevice), 1u) << "position 1, second round";
  EXPECT_EQ(get<uint16_t>(kDevice + 2), 2u);
  offer(8, 0, kWrite);
  EXPECT_TRUE(ring->rearm());
}

TEST_F(PackedRingTest, WhatIsFilledIsTheDriversOnceItIsPublished) {
  make();
  for (unsigned round = 0; round < 4; ++round) {
    SCOPED_TRACE(round);
    const unsigned first = round * 3 % kSize;
    std::vector<Chain> chains(3);
    for (uint16_t i = 0; i < 3; ++i) {
      offer(4, i, kWrite);
      ASSERT_EQ(ring->take(chains[i]), Take::kChain);
    }
    const uint16_t before = flags_of(first);
    for (const Chain& each : chains) {
      ASSERT_TRUE(ring->fill(each, 4));
      EXPECT_EQ(flags_of(first), before) << "where the driver looks";
    }
    ASSERT_TRUE(ring->publish());
    for (unsigned i = 0; i < 3; ++i) {
      const uint16_t flags = flags_of((first + i) % kSize);
      EXPECT_EQ((flags & kUsed) != 0, (flags & kAvailable) != 0);
      EXPECT_EQ(get<uint16_t>(kRing + (first + i) % kSize * 16 + 12), i);
    }
    EXPECT_TRUE(ring->interrupt_wanted());
  }
}

TEST_F(PackedRingTest, AnEndlessChainIsBroken) {
  make();
  for (unsigned i = 0; i < kSize; ++i) offer(4, 0, kNext);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
}

TEST_F(PackedRingTest, WrongTablesAreBroken) {
  make();
  descriptor(kRing, kData, 17, 0, kIndirect | kAvailable);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
  descriptor(kRing, kMemory, 16, 0, kIndirect | kAvailable);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
  descriptor(kRing, kData, 16, 0, kIndirect | kNext | kAvailable);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
}

TEST_F(PackedRingTest, SnapshotsKeepThePositionAndRefuseOneOutside) {
  make();
  for (unsigned i = 0; i < 3; ++i) offer(4, 0, kWrite);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  ASSERT_TRUE(ring->give_back(chain, 0));
  StateWriter saved;
  saved.begin("ring", 1);
  ring->save(saved);
  saved.end();
  make();
  StateReader reader(saved.bytes());
  reader.begin("ring");
  ring->load(reader);
  EXPECT_FALSE(reader.failed());
  ASSERT_EQ(ring->take(chain), Take::kChain);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  EXPECT_EQ(ring->take(chain), Take::kEmpty);

  std::vector<uint8_t> bytes = saved.bytes();
  bytes[4 + 4 + 4 + 8] = 200;
  StateReader damaged(bytes);
  damaged.begin("ring");
  ring->load(damaged);
  EXPECT_TRUE(damaged.failed());
}

}  // namespace
}  // namespace eidolon::device::virtio
