// The monitor's own ring against back ends that keep to the specification and back ends that do not.
#include "vhost/shared_ring.h"

#include <gtest/gtest.h>

#include <cstring>

#include "device/virtio/chain.h"

namespace eidolon::vhost {
namespace {

static_assert(SharedRing::kSize >= device::virtio::Chain::kMaxSegments);

class SharedRingTest : public testing::Test {
 protected:
  void give_back(uint32_t head, uint32_t length) {
    const std::array<uint32_t, 2> entry = {head, length};
    std::memcpy(&memory[SharedRing::kUsed + 4 + used % SharedRing::kSize * 8], entry.data(), sizeof entry);
    set_used(static_cast<uint16_t>(used + 1));
  }
  void set_used(uint16_t index) {
    used = index;
    std::memcpy(&memory[SharedRing::kUsed + 2], &index, sizeof index);
  }
  uint16_t available() {
    uint16_t index = 0;
    std::memcpy(&index, &memory[SharedRing::kAvailable + 2], sizeof index);
    return index;
  }

  std::vector<uint8_t> memory = std::vector<uint8_t>(SharedRing::kBytes);
  SharedRing ring{memory};
  SharedRing::Used taken{};
  uint16_t used = 0;
};

TEST_F(SharedRingTest, BuffersGoRound) {
  const std::array<SharedRing::Piece, 3> pieces = {
      {{.address = 0x1000, .length = 16, .written = false}, {0x2000, 512, true}, {0x3000, 1, true}}};
  for (unsigned round = 0; round < 100'000; ++round) {
    const auto first = ring.add(pieces), second = ring.add(std::span(pieces).first(1));
    ASSERT_TRUE(first && second);
    ASSERT_EQ(ring.take(taken), SharedRing::Take::kNone);
    give_back(*second, 0);
    give_back(*first, 513);
    ASSERT_EQ(ring.take(taken), SharedRing::Take::kUsed);
    ASSERT_EQ(taken.head, *second);
    ASSERT_EQ(ring.take(taken), SharedRing::Take::kUsed);
    ASSERT_EQ(taken.head, *first);
    ASSERT_EQ(taken.length, 513u);
    ASSERT_EQ(ring.under_way(), 0u);
  }
  EXPECT_EQ(available(), static_cast<uint16_t>(200'000));
}

TEST_F(SharedRingTest, AFullRingTakesNoMore) {
  const std::vector<SharedRing::Piece> all(SharedRing::kSize, {.address = 0, .length = 1, .written = true});
  const auto head = ring.add(all);
  ASSERT_TRUE(head);
  EXPECT_FALSE(ring.add(std::span(all).first(1)));
  give_back(*head, 0);
  ASSERT_EQ(ring.take(taken), SharedRing::Take::kUsed);
  EXPECT_TRUE(ring.add(all));
}

TEST_F(SharedRingTest, WhatIsNotUnderWayCannotComeBack) {
  const std::array<SharedRing::Piece, 2> pieces = {{{0x1000, 16, false}, {0x2000, 512, true}}};
  const auto head = ring.add(pieces);
  ASSERT_TRUE(head);
  give_back(*head == 0 ? 1 : *head - 1u, 0);
  EXPECT_EQ(ring.take(taken), SharedRing::Take::kBroken);
  used = 0;
  give_back(SharedRing::kSize, 0);
  EXPECT_EQ(ring.take(taken), SharedRing::Take::kBroken);
  used = 0;
  give_back(*head, 0);
  ASSERT_EQ(ring.take(taken), SharedRing::Take::kUsed);
  give_back(*head, 0);
  EXPECT_EQ(ring.take(taken), SharedRing::Take::kBroken) << "twice";
}

TEST_F(SharedRingTest, MoreThanIsUnderWayCannotComeBack) {
  const std::array<SharedRing::Piece, 1> pieces = {{{0x1000, 16, false}}};
  ASSERT_TRUE(ring.add(pieces));
  set_used(2);
  EXPECT_EQ(ring.take(taken), SharedRing::Take::kBroken);
  set_used(0xffff);
  EXPECT_EQ(ring.take(taken), SharedRing::Take::kBroken);
}

TEST_F(SharedRingTest, KicksOnlyIfTheBackEndWants) {
  EXPECT_TRUE(ring.kick_wanted());
  memory[SharedRing::kUsed] = 1;
  EXPECT_FALSE(ring.kick_wanted());
}

}  // namespace
}  // namespace eidolon::vhost
