// The split ring against drivers that keep to the specification and drivers that do not.
#include "virtio/split_driver.h"

namespace eidolon::device::virtio {
namespace {

constexpr GuestPhysical kRing = 0x10000, kData = 0x40000;
constexpr uint64_t kMemory = 0x100000;

class SplitRingTest : public testing::Test {
 protected:
  static std::unique_ptr<memory::GuestMemory> make_memory() {
    auto made = *memory::GuestMemory::create(kMemory);
    EXPECT_TRUE(made->add_region(0, kMemory, memory::RegionKind::kRam));
    return made;
  }
  void make(uint64_t features = kFeatureVersion1 | kFeatureIndirect) {
    ring = Ring::create(dma, driver.place(), features);
    ASSERT_NE(ring, nullptr);
  }

  std::unique_ptr<memory::GuestMemory> memory = make_memory();
  Dma dma{*memory};
  SplitDriver driver{*memory, kRing, 8};
  std::unique_ptr<Ring> ring;
  Chain chain;
};

TEST_F(SplitRingTest, TakesChainsInOrderAndGivesThemBack) {
  make();
  EXPECT_EQ(ring->take(chain), Take::kEmpty);
  driver.descriptor(3, kData, 16, SplitDriver::kNext, 5);
  driver.descriptor(5, kData + 0x100, 512, SplitDriver::kNext | SplitDriver::kWrite, 1);
  driver.descriptor(1, kData + 0x1000, 1, SplitDriver::kWrite);
  driver.offer(3);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  EXPECT_EQ(chain.readable_bytes(), 16u);
  EXPECT_EQ(chain.writable_bytes(), 513u);
  EXPECT_EQ(ring->take(chain), Take::kEmpty);
  EXPECT_EQ(chain.id, 3u);
  EXPECT_TRUE(ring->give_back(chain, 513));
  EXPECT_EQ(driver.used(), 1u);
  EXPECT_EQ(driver.used_id(0), 3u);
  EXPECT_EQ(driver.used_length(0), 513u);
}

TEST_F(SplitRingTest, WhatIsPutBackIsTheNextAgain) {
  make();
  driver.descriptor(2, kData, 16, SplitDriver::kWrite);
  driver.descriptor(4, kData + 16, 16, SplitDriver::kWrite);
  driver.offer(2);
  driver.offer(4);
  for (unsigned i = 0; i < 3; ++i) {
    ASSERT_EQ(ring->take(chain), Take::kChain);
    EXPECT_EQ(chain.id, 2u);
    ring->put_back();
  }
  ASSERT_EQ(ring->take(chain), Take::kChain);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  EXPECT_EQ(chain.id, 4u);
}

TEST_F(SplitRingTest, WhatIsFilledIsTheDriversOnceItIsPublished) {
  make();
  driver.descriptor(2, kData, 16, SplitDriver::kWrite);
  driver.descriptor(4, kData + 16, 16, SplitDriver::kWrite);
  driver.offer(2);
  driver.offer(4);
  std::array<Chain, 2> chains;
  for (Chain& each : chains) ASSERT_EQ(ring->take(each), Take::kChain);
  ASSERT_TRUE(ring->fill(chains[0], 16));
  ASSERT_TRUE(ring->fill(chains[1], 7));
  EXPECT_EQ(driver.used(), 0u);
  ASSERT_TRUE(ring->publish());
  EXPECT_EQ(driver.used(), 2u);
  EXPECT_EQ(driver.used_id(0), 2u);
  EXPECT_EQ(driver.used_id(1), 4u);
  EXPECT_EQ(driver.used_length(1), 7u);
  EXPECT_TRUE(ring->interrupt_wanted());
}

TEST_F(SplitRingTest, IndicesWrapAround) {
  make();
  driver.descriptor(0, kData, 4, SplitDriver::kWrite);
  for (unsigned i = 0; i < 70'000; ++i) {
    driver.offer(0);
    ASSERT_EQ(ring->take(chain), Take::kChain);
    ASSERT_TRUE(ring->give_back(chain, i));
    ASSERT_EQ(driver.used(), static_cast<uint16_t>(i + 1));
    ASSERT_EQ(driver.used_length(static_cast<uint16_t>(i)), i);
  }
}

TEST_F(SplitRingTest, ChainsAreCopiedInPieces) {
  make();
  driver.descriptor(0, kData, 3, SplitDriver::kNext, 1);
  driver.descriptor(1, kData + 0x100, 3, SplitDriver::kNext, 2);
  driver.descriptor(2, kData + 0x200, 4, SplitDriver::kWrite);
  driver.put<uint32_t>(kData, 0x00332211);
  driver.put<uint32_t>(kData + 0x100, 0x00665544);
  driver.offer(0);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  uint32_t value = 0;
  EXPECT_TRUE(chain.read(dma, 1, &value, 4));
  EXPECT_EQ(value, 0x55443322u);
  EXPECT_FALSE(chain.read(dma, 3, &value, 4)) << "beyond the end";
  EXPECT_TRUE(chain.write(dma, 2, &value, 2));
  EXPECT_FALSE(chain.write(dma, 2, &value, 3));
  EXPECT_EQ(driver.get<uint32_t>(kData + 0x200), 0x33220000u);
}

TEST_F(SplitRingTest, IndirectTablesAreFollowed) {
  make();
  driver.put_descriptor(kData + 0x1000, kData, 16, SplitDriver::kNext, 2);
  driver.put_descriptor(kData + 0x1020, kData + 0x100, 8, SplitDriver::kWrite);
  driver.descriptor(0, kData + 0x1000, 3 * 16, SplitDriver::kIndirect);
  driver.offer(0);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  EXPECT_EQ(chain.readable_bytes(), 16u);
  EXPECT_EQ(chain.writable_bytes(), 8u);
}

TEST_F(SplitRingTest, InterruptsAreKeptBackByTheFlag) {
  make();
  driver.descriptor(0, kData, 4, SplitDriver::kWrite);
  EXPECT_FALSE(ring->interrupt_wanted()) << "nothing was given back";
  driver.offer(0);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  ASSERT_TRUE(ring->give_back(chain, 4));
  EXPECT_TRUE(ring->interrupt_wanted());
  driver.set_flags(1);
  driver.offer(0);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  ASSERT_TRUE(ring->give_back(chain, 4));
  EXPECT_FALSE(ring->interrupt_wanted());
}

TEST_F(SplitRingTest, EventIndexesSayWhenToInterruptAndToNotify) {
  make(kFeatureVersion1 | kFeatureEventIndex);
  driver.descriptor(0, kData, 4, SplitDriver::kWrite);
  driver.set_used_event(1);  // after the second
  for (const bool wanted : {false, true, false}) {
    driver.offer(0);
    ASSERT_EQ(ring->take(chain), Take::kChain);
    ASSERT_TRUE(ring->give_back(chain, 4));
    EXPECT_EQ(ring->interrupt_wanted(), wanted);
  }
  EXPECT_FALSE(ring->rearm());
  EXPECT_EQ(driver.available_event(), 3u);
  driver.offer(0);
  EXPECT_TRUE(ring->rearm()) << "one came in between";
}

TEST_F(SplitRingTest, SnapshotsKeepTheIndices) {
  make();
  driver.descriptor(0, kData, 4, SplitDriver::kWrite);
  driver.offer(0);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  ASSERT_TRUE(ring->give_back(chain, 4));
  StateWriter saved;
  saved.begin("ring", 1);
  ring->save(saved);
  saved.end();
  make();
  StateReader reader(saved.bytes());
  reader.begin("ring");
  ring->load(reader);
  EXPECT_EQ(ring->take(chain), Take::kEmpty);
  driver.offer(0);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  ASSERT_TRUE(ring->give_back(chain, 4));
  EXPECT_EQ(driver.used(), 2u);
}

// What a hostile driver does.

TEST_F(SplitRingTest, ALoopOfDescriptorsIsBroken) {
  make();
  driver.descriptor(0, kData, 4, SplitDriver::kNext, 1);
  driver.descriptor(1, kData, 4, SplitDriver::kNext, 0);
  driver.offer(0);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
}

TEST_F(SplitRingTest, ALoopInAnIndirectTableIsBroken) {
  make();
  driver.put_descriptor(kData, kData, 4, SplitDriver::kNext, 0);
  driver.descriptor(0, kData, 16, SplitDriver::kIndirect);
  driver.offer(0);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
}

TEST_F(SplitRingTest, ATableInATableIsBroken) {
  make();
  driver.put_descriptor(kData, kData, 16, SplitDriver::kIndirect);
  driver.descriptor(0, kData, 16, SplitDriver::kIndirect);
  driver.offer(0);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
}

TEST_F(SplitRingTest, IndirectTablesOfAWrongSizeAreBroken) {
  for (const uint32_t length : {0u, 15u, 17u}) {
    make();
    driver.descriptor(0, kData, length, SplitDriver::kIndirect);
    driver.set_available(0);
    driver.offer(0);
    EXPECT_EQ(ring->take(chain), Take::kBroken) << length;
  }
}

TEST_F(SplitRingTest, IndirectWithoutTheFeatureIsBroken) {
  make(kFeatureVersion1);
  driver.put_descriptor(kData, kData, 4, 0);
  driver.descriptor(0, kData, 16, SplitDriver::kIndirect);
  driver.offer(0);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
}

TEST_F(SplitRingTest, NumbersBeyondTheRingAreBroken) {
  make();
  driver.offer(8);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
  make();
  driver.set_available(0);
  driver.descriptor(0, kData, 4, SplitDriver::kNext, 9);
  driver.offer(0);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
}

TEST_F(SplitRingTest, AnIndexThatRunsBackwardsOrTooFarIsBroken) {
  make();
  driver.set_available(0xffff);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
  driver.set_available(9);
  EXPECT_EQ(ring->take(chain), Take::kBroken) << "more than the ring holds";
}

TEST_F(SplitRingTest, ReadingAfterWritingIsBroken) {
  make();
  driver.descriptor(0, kData, 4, SplitDriver::kNext | SplitDriver::kWrite, 1);
  driver.descriptor(1, kData, 4, 0);
  driver.offer(0);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
}

TEST_F(SplitRingTest, AbsurdLengthsAreBroken) {
  make();
  driver.descriptor(0, kData, 0xffffffff, SplitDriver::kNext, 1);
  driver.descriptor(1, kData, 0xffffffff, 0);
  driver.offer(0);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
}

TEST_F(SplitRingTest, BuffersOutsideMemoryCannotBeUsed) {
  make();
  driver.descriptor(0, kMemory - 2, 4, SplitDriver::kNext, 1);
  driver.descriptor(1, ~uint64_t{0} - 1, 4, SplitDriver::kWrite);
  driver.offer(0);
  ASSERT_EQ(ring->take(chain), Take::kChain);
  uint32_t value = 0;
  EXPECT_FALSE(chain.read(dma, 0, &value, 4));
  EXPECT_FALSE(chain.write(dma, 0, &value, 4));
}

TEST_F(SplitRingTest, RingsThatCannotBeAreRefused) {
  const auto refused = [this](auto change) {
    RingPlace place = driver.place();
    change(place);
    return Ring::create(dma, place, kFeatureVersion1) == nullptr;
  };
  EXPECT_TRUE(refused([](RingPlace& place) { place.size = 0; }));
  EXPECT_TRUE(refused([](RingPlace& place) { place.size = 7; }));
  EXPECT_TRUE(refused([](RingPlace& place) { place.descriptors += 8; }));
  EXPECT_TRUE(refused([](RingPlace& place) { place.driver += 1; }));
  EXPECT_TRUE(refused([](RingPlace& place) { place.device += 2; }));
  EXPECT_TRUE(refused([](RingPlace& place) { place.descriptors = kMemory - 16; }));
  EXPECT_TRUE(refused([](RingPlace& place) { place.driver = 0xfee00000; }));
  EXPECT_TRUE(refused([](RingPlace& place) { place.device = ~uint64_t{3}; }));
  EXPECT_FALSE(refused([](RingPlace&) {}));
}

TEST_F(SplitRingTest, WithoutBusMasteringTheRingIsBroken) {
  make();
  driver.descriptor(0, kData, 4, SplitDriver::kWrite);
  driver.offer(0);
  dma.set_enabled(false);
  EXPECT_EQ(ring->take(chain), Take::kBroken);
}

TEST(EventIndex, PassesCountsAroundTheEnd) {
  EXPECT_TRUE(passes(5, 6, 5));
  EXPECT_FALSE(passes(6, 6, 5));
  EXPECT_FALSE(passes(4, 6, 5));
  EXPECT_TRUE(passes(0xffff, 0, 0xffff));
  EXPECT_TRUE(passes(0xfffe, 2, 0xfff0));
}

}  // namespace
}  // namespace eidolon::device::virtio
