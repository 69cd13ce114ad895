// The card as a driver finds it: configuration space, EEPROM, transceiver, interrupts, statistics, snapshots.
#include "device/net/e1000.h"

#include "net/fixture.h"

namespace eidolon::device::net {
namespace {

TEST_F(E1000Test, IsAn82540EmWithMemoryAndPorts) {
  EXPECT_EQ(read(kSlot, 0), 0x100e8086u);
  EXPECT_EQ(read(kSlot, 8), 0x02000003u);
  EXPECT_EQ(read(kSlot, 0x3c, 2) >> 8, 1u);
  write(kSlot, 0x10, 4, ~0u);
  EXPECT_EQ(read(kSlot, 0x10), 0xfffe0000u);
  write(kSlot, 0x14, 4, ~0u);
  EXPECT_EQ(read(kSlot, 0x14) & 0xffff, 0xffc1u);
}

TEST_F(E1000Test, TheEepromHasTheAddressAndAGoodSum) {
  unsigned sum = 0;
  std::vector<uint16_t> words;
  for (uint32_t i = 0; i < 64; ++i) {
    set(kEerd, i << 8 | 1);
    EXPECT_NE(get(kEerd) & 1u << 4, 0u);
    words.push_back(static_cast<uint16_t>(get(kEerd) >> 16));
    sum += words.back();
  }
  EXPECT_EQ(sum & 0xffff, 0xbabau);
  EXPECT_EQ(words[0], 0x5452);
  EXPECT_EQ(words[1], 0x1200);
  EXPECT_EQ(words[2], 0x5634);
  EXPECT_EQ(words[0x0d], 0x100e);
  EXPECT_EQ(get(kRal), 0x12005452u);
  EXPECT_EQ(get(kRal + 4), 0x80005634u);
}

class MicrowireTest : public E1000Test {
 protected:
  static constexpr uint32_t kClock = 1, kSelect = 2, kIn = 4, kOut = 8, kRequest = 0x40, kGrant = 0x80;
  void shift_out(uint32_t value, unsigned count) {
    while (count-- > 0) {
      const uint32_t in = (value >> count & 1) != 0 ? kIn : 0;
      set(kEecd, kRequest | kSelect | in);
      set(kEecd, kRequest | kSelect | in | kClock);
      set(kEecd, kRequest | kSelect | in);
    }
  }
  uint16_t shift_in() {
    unsigned value = 0;
    for (unsigned i = 0; i < 16; ++i) {
      set(kEecd, kRequest | kSelect | kClock);
      value = value << 1 | ((get(kEecd) & kOut) != 0 ? 1 : 0);
      set(kEecd, kRequest | kSelect);
    }
    return static_cast<uint16_t>(value);
  }
  void select() { set(kEecd, kRequest | kSelect); }
  void deselect() { set(kEecd, kRequest); }
};

TEST_F(MicrowireTest, WordsAreClockedOutOneAfterTheOther) {
  set(kEecd, kRequest);
  EXPECT_NE(get(kEecd) & kGrant, 0u);
  select();
  shift_out(0b110, 3);
  shift_out(0, 6);
  EXPECT_EQ(get(kEecd) & kOut, 0u) << "a zero comes first";
  EXPECT_EQ(shift_in(), 0x5452);
  EXPECT_EQ(shift_in(), 0x1200);
  deselect();
  select();
  shift_out(0b110, 3);
  shift_out(2, 6);
  EXPECT_EQ(shift_in(), 0x5634);
}

TEST_F(MicrowireTest, IsWrittenOnlyWhenThatIsSwitchedOn) {
  const auto write_word = [this](uint32_t address, uint16_t value) {
    select();
    shift_out(0b101, 3);
    shift_out(address, 6);
    shift_out(value, 16);
    deselect();
    select();
    EXPECT_NE(get(kEecd) & kOut, 0u) << "ready";
    deselect();
  };
  const auto word = [this](uint32_t address) {
    set(kEerd, address << 8 | 1);
    return get(kEerd) >> 16;
  };
  write_word(0, 0x7652);
  EXPECT_EQ(word(0), 0x5452u);
  select();
  shift_out(0b10011, 5);
  shift_out(0, 4);
  deselect();
  write_word(0, 0x7652);
  EXPECT_EQ(word(0), 0x7652u);
  set(kCtrl, 1u << 26);
  EXPECT_EQ(get(kRal), 0x12007652u) << "a reset takes the address from there";
}

TEST_F(E1000Test, TheTransceiverIsAnM88E1011WithALink) {
  EXPECT_EQ(phy(2), 0x0141);
  EXPECT_EQ(phy(3), 0x0c20);
  EXPECT_EQ(phy(1) & 0x24, 0x24) << "link, negotiated";
  EXPECT_EQ(phy(17) >> 10, 0b101011) << "1000 Mb/s, full duplex, resolved, link";
  EXPECT_EQ(get(kStatus), 0x283u);
  set(kMdic, 2u << 26 | 2u << 21 | 2u << 16);
  EXPECT_NE(get(kMdic) & 1u << 30, 0u) << "there is nothing at address 2";
}

TEST_F(E1000Test, TheLinkGoesWithThePowerOfTheTransceiver) {
  set(kIms, 4);
  (void)get(kIcr);
  set_phy(0, 0x1940);
  EXPECT_EQ(get(kIcr), 4u);
  EXPECT_EQ(get(kStatus) & 2, 0u);
  set_phy(0, 0x1140);
  EXPECT_EQ(get(kIcr), 4u);
  EXPECT_EQ(phy(1) & 4, 0) << "a loss is seen once";
  EXPECT_EQ(phy(1) & 4, 4);
}

TEST_F(E1000Test, WhatIsAdvertisedDecidesTheSpeed) {
  set_phy(9, 0);
  EXPECT_EQ(get(kStatus), 0x143u) << "100 Mb/s";
  set_phy(4, 0x0041);
  EXPECT_EQ(get(kStatus), 0x003u) << "10 Mb/s";
  set_phy(0, 0x8000);
  EXPECT_EQ(get(kStatus), 0x283u);
}

TEST_F(E1000Test, ReadOnlyBitsStayAndReservedOnesAreZero) {
  const uint32_t status = get(kStatus);
  set(kStatus, ~status);
  EXPECT_EQ(get(kStatus), status);
  const auto kept = [this](uint32_t offset) {
    set(offset, ~0u);
    return get(offset);
  };
  // The masks that the self-test of Linux's driver expects.
  EXPECT_EQ(kept(0x2c), 0xffffu);
  EXPECT_EQ(kept(0x2168), 0xfff8u);
  EXPECT_EQ(kept(0x410), 0x3fffffffu);
  EXPECT_EQ(kept(kRdbal), 0xfffffff0u);
  EXPECT_EQ(kept(kRdbal + kLength), 0xfff80u);
  EXPECT_EQ(kept(kRdbal + kTail), 0xffffu);
  EXPECT_EQ(kept(kTdbal + kLength), 0xfff80u);
  EXPECT_EQ(kept(kRal + 12), 0x8003ffffu);
  EXPECT_EQ(kept(kMta + 127 * 4), ~0u);
  set(kRctl, 0x003ffffb);
  EXPECT_EQ(get(kRctl), 0x003ffffbu & 0x06dfb3fe);
}

TEST_F(E1000Test, RegistersAreReachedByPortsToo) {
  ports.write(port, 4, kVet);
  EXPECT_EQ(ports.read(port + 4, 4), 0x8100u);
  ports.write(port + 4, 4, 0x9100);
  EXPECT_EQ(get(kVet), 0x9100u);
  ports.write(port, 4, 0);
  ports.write(port + 4, 4, 1u << 26);
  EXPECT_EQ(get(kVet), 0x8100u) << "reset";
  ports.write(port, 4, 0xffffff00);
  EXPECT_EQ(ports.read(port + 4, 4), 0u);
  ports.write(port + 4, 4, 1);
}

TEST_F(E1000Test, CausesAreClearedByReadingThemAndByOnes) {
  set(kIcs, 0x93);
  EXPECT_EQ(get(kIcr), 0x93u);
  EXPECT_EQ(get(kIcr), 0u);
  set(kIcs, ~0u);
  set(kIcr, ~0u << 3);
  EXPECT_EQ(get(kIcr), 7u);
}

class WireTest : public E1000Test {
 protected:
  static constexpr uint8_t kVector = 0x61;
  /// Whether the wire is up: the I/O APIC's pin asks again after each end of an interrupt.
  bool wire() { return (read(kSlot, pci::kStatus, 2) & pci::kStatusInterrupt) != 0; }
};

TEST_F(WireTest, FollowsCausesAndMask) {
  set(kIcs, 4);
  EXPECT_FALSE(wire());
  set(kIms, 4);
  EXPECT_TRUE(wire());
  set(kImc, 4);
  EXPECT_FALSE(wire());
  set(kIms, 4);
  (void)get(kIcr);
  EXPECT_FALSE(wire());
}

TEST_F(WireTest, RisesNoSoonerThanTheIntervalAllows) {
  set(kItr, 1000);  // 256 us
  set(kIms, 4);
  set(kIcs, 4);
  EXPECT_TRUE(wire()) << "the first one comes at once";
  (void)get(kIcr);
  clock.advance(100'000);
  set(kIcs, 4);
  EXPECT_FALSE(wire());
  clock.advance(155'999);
  timers.run_due();
  EXPECT_FALSE(wire());
  clock.advance(1);
  timers.run_due();
  EXPECT_TRUE(wire());
  (void)get(kIcr);
  set(kItr, 0);
  set(kIcs, 4);
  EXPECT_TRUE(wire());
}

TEST_F(WireTest, ACauseThatIsGoneDoesNotRaiseItLater) {
  set(kItr, 1000);
  set(kIms, 4);
  set(kIcs, 4);
  (void)get(kIcr);
  set(kIcs, 4);
  (void)get(kIcr);
  clock.advance(1'000'000);
  timers.run_due();
  EXPECT_FALSE(wire());
}

TEST_F(E1000Test, StatisticsCountAndAreClearedByReading) {
  start_receiver();
  EXPECT_TRUE(link.card->receive(own_frame(100)));
  EXPECT_TRUE(link.card->receive(own_frame(1514)));
  EXPECT_TRUE(link.card->receive(frame_to({0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 40)));
  EXPECT_TRUE(link.card->receive(frame_to({2, 0, 0, 0, 0, 1}, 40)));
  EXPECT_EQ(get(0x4074), 3u) << "good ones";
  EXPECT_EQ(get(0x4074), 0u);
  EXPECT_EQ(get(0x40d0), 4u) << "all";
  EXPECT_EQ(get(0x4078), 1u) << "broadcasts";
  EXPECT_EQ(get(0x405c), 1u) << "of 64 bytes";
  EXPECT_EQ(get(0x4060), 1u) << "to 127";
  EXPECT_EQ(get(0x4070), 1u) << "to 1522";
  EXPECT_EQ(get(0x4088), 104u + 1518 + 64);
  EXPECT_EQ(get(0x4088), 104u + 1518 + 64) << "until the upper half is read";
  EXPECT_EQ(get(0x408c), 0u);
  EXPECT_EQ(get(0x4088), 0u);
}

TEST_F(E1000Test, AResetLeavesRegistersAsAfterPowerOn) {
  start_receiver();
  start_transmitter();
  set(kIms, 0xffff);
  set(kRal + 8, 1);
  set(kCtrl, 1u << 26);
  for (const uint32_t offset : {kRctl, kTctl, kIms, kRdbal, kRdbal + kLength, kRdbal + kTail, kRal + 8})
    EXPECT_EQ(get(offset), 0u) << offset;
  EXPECT_EQ(get(kCtrl), 0x201u);
  EXPECT_EQ(get(kRal + 4), 0x80005634u);
}

TEST_F(E1000Test, PartsOfRegistersAreReadButNotWritten) {
  mmio.write(bar + kVet, 2, 0x1111);
  mmio.write(bar + kVet + 1, 4, 0x1111);
  EXPECT_EQ(get(kVet), 0x8100u);
  EXPECT_EQ(mmio.read(bar + kVet + 1, 1), 0x81u);
  mmio.write(bar + kRal, 8, 0x8000'2222'1111'1111);
  EXPECT_EQ(get(kRal), 0x11111111u);
  EXPECT_EQ(get(kRal + 4), 0x80002222u);
}

TEST_F(E1000Test, ASnapshotHasItAll) {
  start_receiver();
  start_transmitter();
  set(kItr, 77);
  set(kIms, 4);
  set(kIcs, 4);
  set(kMta + 8, 5);
  set_phy(4, 0x0041);
  StateWriter writer;
  card.save(writer);
  set(kCtrl, 1u << 26);
  set(kMta + 8, 0);
  set_phy(0, 0x8000);
  StateReader reader(writer.bytes());
  card.load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(get(kItr), 77u);
  EXPECT_EQ(get(kRdbal + kTail), kEntries - 1);
  EXPECT_EQ(get(kMta + 8), 5u);
  EXPECT_EQ(phy(4), 0x0041);
  EXPECT_NE(read(kSlot, pci::kStatus, 2) & pci::kStatusInterrupt, 0u);
  EXPECT_EQ(get(kIcr), 4u);
  set(kIcs, 4);
  StateReader cut(std::span(writer.bytes()).first(writer.bytes().size() / 2));
  card.load(cut);
  EXPECT_TRUE(cut.failed());
  EXPECT_EQ(read(kSlot, pci::kStatus, 2) & pci::kStatusInterrupt, 0u) << "reset";
  EXPECT_EQ(read(kSlot, pci::kCommand, 2), 0u);
}

TEST_F(E1000Test, WhileItIsHeldFramesWait) {
  start_receiver();
  start_transmitter();
  describe(kData, 60 | kEop);
  send();
  ASSERT_TRUE(card.hold(std::chrono::milliseconds(1)));
  EXPECT_FALSE(link.card->receive(own_frame(60)));
  EXPECT_TRUE(sent().empty());
  link.wakes = 0;
  card.release();
  EXPECT_EQ(link.wakes, 1u);
  EXPECT_TRUE(link.card->receive(own_frame(60)));
  EXPECT_EQ(sent().size(), 1u);
}

}  // namespace
}  // namespace eidolon::device::net
