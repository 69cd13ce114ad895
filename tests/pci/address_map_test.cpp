// Which window answers where, and where its doorbells are meanwhile.
#include "device/pci/address_map.h"

#include <gtest/gtest.h>

#include "pci/doorbell_taker.h"

namespace eidolon::device::pci {
namespace {

class Registers final : public memory::IoHandler {
 public:
  uint64_t io_read(uint64_t, unsigned) override { return 0; }
  void io_write(uint64_t, unsigned, uint64_t) override {}
};

class AddressMapTest : public testing::Test {
 protected:
  static constexpr uint64_t kLength = 0x1000;
  AddressMapTest() {
    map.add_doorbell(&one, 0x10, 1);
    map.add_doorbell(&other, 0x10, 2);
    map.give_doorbells(&taker);
  }
  void place(const int& key, uint64_t base) { map.place(&key, base, kLength, registers); }

  const int one = 0, other = 0;
  Registers registers;
  DoorbellTaker taker;
  AddressMap map;
};

TEST_F(AddressMapTest, DoorbellsAreWhereTheirWindowIs) {
  EXPECT_EQ(taker.taken, DoorbellTaker::Taken{}) << "it is nowhere";
  place(one, 0x10000);
  EXPECT_EQ(taker.taken, (DoorbellTaker::Taken{{0x10010, 1}}));
  place(one, 0x20000);
  EXPECT_EQ(taker.taken, (DoorbellTaker::Taken{{0x20010, 1}}));
  map.remove(&one);
  EXPECT_EQ(taker.taken, DoorbellTaker::Taken{});
}

TEST_F(AddressMapTest, TheWindowThatAnswersHasTheDoorbell) {
  place(one, 0x10000);
  place(other, 0x10000);
  EXPECT_EQ(taker.taken, (DoorbellTaker::Taken{{0x10010, 1}}));
  map.remove(&one);
  EXPECT_EQ(taker.taken, (DoorbellTaker::Taken{{0x10010, 2}}));
  place(one, 0x10010 - kLength);
  EXPECT_EQ(taker.taken, (DoorbellTaker::Taken{{0x10010, 2}, {0x10020 - kLength, 1}})) << "beside each other";
}

TEST_F(AddressMapTest, ADoorbellUnderAnotherWindowIsNotThere) {
  place(one, 0x10000);
  place(other, 0x10ff8);
  EXPECT_EQ(taker.taken, (DoorbellTaker::Taken{{0x10010, 1}, {0x11008, 2}}));
  place(other, 0x10ff0 - 0x10);
  EXPECT_EQ(taker.taken, (DoorbellTaker::Taken{{0x10010, 1}})) << "its registers there are the other's";
}

TEST_F(AddressMapTest, DoorbellsGoFromOneTakerToTheNext) {
  place(one, 0x10000);
  DoorbellTaker next;
  map.give_doorbells(&next);
  EXPECT_EQ(taker.taken, DoorbellTaker::Taken{});
  EXPECT_EQ(next.taken, (DoorbellTaker::Taken{{0x10010, 1}}));
  map.give_doorbells(nullptr);
  EXPECT_EQ(next.taken, DoorbellTaker::Taken{});
  place(one, 0x20000);
  EXPECT_EQ(next.taken, DoorbellTaker::Taken{});
}

TEST_F(AddressMapTest, WhatIsRefusedIsTakenLater) {
  taker.full = true;
  place(one, 0x10000);
  EXPECT_EQ(taker.taken, DoorbellTaker::Taken{});
  taker.full = false;
  place(one, 0x20000);
  EXPECT_EQ(taker.taken, (DoorbellTaker::Taken{{0x20010, 1}}));
}

}  // namespace
}  // namespace eidolon::device::pci
