// Local APICs that somebody else keeps, and their way there and back.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "interrupt/io_apic.h"
#include "interrupt/local_apic.h"
#include "interrupt/msi.h"
#include "x86/msr.h"

namespace eidolon::interrupt {
namespace {

/// Holds images, and writes down what comes.
class Keeper final : public cpu::ApicKeeper {
 public:
  bool put(uint32_t id, const cpu::ApicImage& image, cpu::ExternalInterrupts& from) override {
    if (id == refused) return false;
    images[id] = image;
    external[id] = &from;
    return true;
  }
  bool get(uint32_t id, cpu::ApicImage& image) override {
    image = images.at(id);
    return true;
  }
  bool deliver(const cpu::Msi& message) override {
    messages.push_back(message);
    return takes;
  }
  void route(unsigned pin, const std::optional<cpu::Msi>& message) override {
    if (message) {
      routes[pin] = *message;
    } else {
      routes.erase(pin);
    }
  }
  void set_end_of_interrupt(std::function<void(uint8_t)> told) override { ended = std::move(told); }
  bool read_msr(uint32_t id, uint32_t msr, uint64_t& value) override {
    value = uint64_t{id} << 32 | msr;
    return msr != 0x8ff;
  }
  bool write_msr(uint32_t, uint32_t msr, uint64_t value) override {
    written[msr] = value;
    return msr != 0x8ff;
  }

  uint32_t refused = ~0u;
  bool takes = true;
  std::map<uint32_t, cpu::ApicImage> images;
  std::map<uint32_t, cpu::ExternalInterrupts*> external;
  std::vector<cpu::Msi> messages;
  std::map<unsigned, cpu::Msi> routes;
  std::map<uint32_t, uint64_t> written;
  std::function<void(uint8_t)> ended;
};

class LentApicTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (LocalApic* apic : {&first, &second}) {
      bus.connect(*apic);
      apic->attach(events[apic->id()], {.now = [] { return uint64_t{0}; }, .hz = 1'000'000'000});
      apic->io_write(0xf0, 4, 0x1ff);
    }
    bus.connect(io);
    pic.set_output([this](bool level) { first.set_lint(0, level); });
  }
  void put(uint64_t offset, uint32_t value) { first.io_write(offset, 4, value); }
  uint32_t get(uint64_t offset) { return static_cast<uint32_t>(first.io_read(offset, 4)); }
  uint32_t& kept(unsigned offset) { return keeper.images[0].registers[offset >> 4]; }
  void advance(Nanoseconds by) {
    clock.advance(by);
    timers.run_due();
  }
  void route(uint8_t pin, uint32_t low) {
    io.io_write(0x00, 4, 0x10u + 2 * pin);
    io.io_write(0x10, 4, low);
  }

  ManualClock clock;
  TimerQueue timers{clock};
  cpu::EventFlags events[2];
  Pic pic;
  ApicBus bus;
  LocalApic first{bus, timers, 0, true, &pic};
  LocalApic second{bus, timers, 1, false};
  IoApic io{bus};
  Keeper keeper;
};

TEST_F(LentApicTest, RegistersGoThereAndComeBack) {
  put(0x80, 0x23);        // task priority
  put(0xd0, 0x05000000);  // logical destination
  put(0x310, 0x01000000);
  put(0x350, 0x0700);  // LINT0: ExtINT
  bus.deliver({.destination = 0, .vector = 0x41});
  bus.deliver({.destination = 0, .vector = 0x62, .level = true});
  EXPECT_EQ(first.acknowledge(), 0x62);
  ASSERT_TRUE(bus.lend(keeper));
  EXPECT_EQ(keeper.images[0].base, 0xfee00900u);
  EXPECT_EQ(keeper.images[1].base, 0xfee00800u);
  EXPECT_EQ(keeper.images[1].registers[2], 1u << 24) << "ID";
  EXPECT_EQ(kept(0x80), 0x23u);
  EXPECT_EQ(kept(0xd0), 0x05000000u);
  EXPECT_EQ(kept(0xf0), 0x1ffu);
  EXPECT_EQ(kept(0x220), 2u) << "IRR: 0x41";
  EXPECT_EQ(kept(0x130), 4u) << "ISR: 0x62";
  EXPECT_EQ(kept(0x1b0), 4u) << "TMR: 0x62 is a level";
  EXPECT_EQ(kept(0x350), 0x0700u);
  kept(0x80) = 0x10;
  kept(0x220) = 4;  // 0x42 instead of 0x41
  kept(0x130) = 0;  // the EOI
  bus.take_back();
  EXPECT_EQ(get(0x80), 0x10u);
  EXPECT_EQ(get(0xd0), 0x05000000u);
  EXPECT_EQ(get(0x310), 0x01000000u);
  EXPECT_EQ(first.acknowledge(), 0x42);
  EXPECT_EQ(first.acknowledge(), std::nullopt);
}

TEST_F(LentApicTest, TheModeComesBack) {
  ASSERT_TRUE(bus.lend(keeper));
  keeper.images[0].base = 0xfee00d00;  // x2APIC
  kept(0x310) = 5;
  kept(0x300) = 0x41;
  bus.take_back();
  EXPECT_EQ(first.read_msr(x86::kMsrApicBase), 0xfee00d00u);
  EXPECT_EQ(first.read_msr(0x830), 0x500000041u);
}

TEST_F(LentApicTest, WhatIsPendingWakesTheProcessorWhenItComesBack) {
  ASSERT_TRUE(bus.lend(keeper));
  events[0].take(~0u);
  kept(0x220) = 2;
  bus.take_back();
  EXPECT_EQ(events[0].take(~0u), unsigned{cpu::kEventInterrupt});
}

TEST_F(LentApicTest, MessagesGoToTheKeeper) {
  ASSERT_TRUE(bus.lend(keeper));
  EXPECT_TRUE(bus.deliver({.destination = 1, .vector = 0x41}));
  EXPECT_TRUE(bus.deliver({.destination = 3,
                           .logical = true,
                           .mode = DeliveryMode::kLowestPriority,
                           .vector = 0x42,
                           .level = true}));
  keeper.takes = false;
  EXPECT_FALSE(bus.deliver({.destination = kBroadcast, .mode = DeliveryMode::kNmi}));
  ASSERT_EQ(keeper.messages.size(), 3u);
  EXPECT_EQ(keeper.messages[0].address, 0xfee01000u);
  EXPECT_EQ(keeper.messages[0].data, 0x4041u);
  EXPECT_EQ(keeper.messages[1].address, 0xfee03004u);
  EXPECT_EQ(keeper.messages[1].data, 0xc142u);
  EXPECT_EQ(keeper.messages[2].address, 0xfeeff000u);
  EXPECT_EQ(keeper.messages[2].data, 0x4400u);
  EXPECT_FALSE(first.interrupt_pending());
  EXPECT_FALSE(second.interrupt_pending());
  bus.take_back();
  keeper.messages.clear();
  EXPECT_TRUE(bus.deliver({.destination = 1, .vector = 0x43}));
  EXPECT_TRUE(keeper.messages.empty());
  EXPECT_EQ(second.acknowledge(), 0x43);
}

TEST_F(LentApicTest, AMessageIsItsMsi) {
  const ApicMessage message{.destination = 7, .logical = true, .mode = DeliveryMode::kNmi, .vector = 2};
  const auto msi = msi_of(message);
  ASSERT_TRUE(msi);
  const auto again = msi_message(msi->address, msi->data);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->destination, 7u);
  EXPECT_TRUE(again->logical);
  EXPECT_EQ(again->mode, DeliveryMode::kNmi);
  EXPECT_EQ(again->vector, 2);
  EXPECT_FALSE(msi_of({.destination = 0x10001, .logical = true})) << "a cluster of x2APICs";
  EXPECT_FALSE(msi_of({.destination = 0xff})) << "would be everybody";
}

TEST_F(LentApicTest, LevelsAreRoutedForTheirEoi) {
  route(9, 0x8000 | 0x51);
  route(10, 0x52);  // an edge
  ASSERT_TRUE(bus.lend(keeper));
  ASSERT_EQ(keeper.routes.size(), 1u);
  EXPECT_EQ(keeper.routes[9].data, 0xc051u);
  route(11, 0x18000 | 0x53);  // masked: what it sent before may be in service
  EXPECT_EQ(keeper.routes[11].data, 0xc053u);
  route(9, 0x51);
  EXPECT_FALSE(keeper.routes.contains(9));
}

TEST_F(LentApicTest, AnEoiOfTheKeepersGetsToThePin) {
  route(9, 0x8000 | 0x51);
  ASSERT_TRUE(bus.lend(keeper));
  io.set_pin(9, true);
  ASSERT_EQ(keeper.messages.size(), 1u);
  EXPECT_EQ(keeper.messages[0].data, 0xc051u);
  keeper.ended(0x51);
  EXPECT_EQ(keeper.messages.size(), 2u) << "still asserted";
  io.set_pin(9, false);
  keeper.ended(0x51);
  EXPECT_EQ(keeper.messages.size(), 2u);
}

TEST_F(LentApicTest, ALevelInServiceEndsWhereverItIs) {
  route(9, 0x8000 | 0x51);
  ASSERT_TRUE(bus.lend(keeper));
  io.set_pin(9, true);
  kept(0x120) = 1u << 17;  // ISR: 0x51
  kept(0x1a0) = 1u << 17;  // TMR
  bus.take_back();
  put(0xb0, 0);
  EXPECT_EQ(first.acknowledge(), 0x51) << "the pin is still asserted";
}

TEST_F(LentApicTest, AnEoiThatWasNotToldIsSeenWhenTheyComeBack) {
  route(9, 0x8000 | 0x51);
  ASSERT_TRUE(bus.lend(keeper));
  io.set_pin(9, true);
  bus.take_back();
  EXPECT_EQ(first.acknowledge(), 0x51) << "no APIC holds it: the pin, still asserted, sends it again";
  ASSERT_TRUE(bus.lend(keeper));
  EXPECT_EQ(kept(0x120), 1u << 17);
  bus.take_back();
  EXPECT_EQ(first.acknowledge(), std::nullopt) << "it is in service";
}

TEST_F(LentApicTest, ATimerGoesOnFromWhereItIs) {
  put(0x3e0, 0xb);  // by one
  put(0x320, 0x45);
  put(0x380, 1000);
  advance(400);
  ASSERT_TRUE(bus.lend(keeper));
  EXPECT_EQ(kept(0x390), 600u);
  advance(10'000);
  EXPECT_FALSE(first.interrupt_pending()) << "the keeper counts";
  kept(0x390) = 100;
  bus.take_back();
  EXPECT_EQ(get(0x390), 100u);
  advance(99);
  EXPECT_FALSE(first.interrupt_pending());
  advance(1);
  EXPECT_EQ(first.acknowledge(), 0x45);
}

TEST_F(LentApicTest, ACountThatIsOverFiresRatherOnceMoreThanNever) {
  put(0x3e0, 0xb);
  put(0x320, 0x45);
  put(0x380, 1000);
  ASSERT_TRUE(bus.lend(keeper));
  kept(0x390) = 0;
  bus.take_back();
  advance(0);
  EXPECT_EQ(first.acknowledge(), 0x45);
  advance(100'000);
  EXPECT_EQ(first.acknowledge(), std::nullopt);
}

TEST_F(LentApicTest, APeriodicTimerKeepsItsPhase) {
  put(0x3e0, 0xb);
  put(0x320, 0x20045);
  put(0x380, 1'000'000);
  ASSERT_TRUE(bus.lend(keeper));
  kept(0x390) = 250'000;
  bus.take_back();
  advance(250'000);
  EXPECT_EQ(first.acknowledge(), 0x45);
  put(0xb0, 0);
  advance(999'999);
  EXPECT_FALSE(first.interrupt_pending());
  advance(1);
  EXPECT_EQ(first.acknowledge(), 0x45);
}

TEST_F(LentApicTest, The8259PairStaysHere) {
  for (const auto& [port, value] : std::vector<std::pair<unsigned, unsigned>>{
           {0, 0x11}, {1, 0x20}, {1, 4}, {1, 1}, {1, 0}})  // ICWs and mask of the master
    pic.master_ports().io_write(port, 1, value);
  ASSERT_TRUE(bus.lend(keeper));
  events[0].take(~0u);
  pic.set_irq(1, true);
  EXPECT_EQ(events[0].take(~0u), unsigned{cpu::kEventInterrupt}) << "the engine is to look";
  EXPECT_FALSE(first.interrupt_pending()) << "not for whoever delivers by himself";
  ASSERT_TRUE(keeper.external[0]->external_pending());
  EXPECT_EQ(keeper.external[0]->acknowledge_external(), 0x21);
  EXPECT_FALSE(keeper.external[0]->external_pending());
  EXPECT_EQ(keeper.external[0]->acknowledge_external(), std::nullopt);
}

TEST_F(LentApicTest, AnInstructionDoneHereReachesTheKeeper) {
  ASSERT_TRUE(bus.lend(keeper));
  EXPECT_EQ(second.read_msr(0x802), 0x1'0000'0802u);
  EXPECT_FALSE(second.read_msr(0x8ff).has_value());
  EXPECT_TRUE(second.write_msr(0x80b, 0).has_value());
  EXPECT_TRUE(keeper.written.contains(0x80b));
  EXPECT_FALSE(second.write_msr(0x8ff, 0).has_value());
  kept(0x80) = 0x30;
  EXPECT_EQ(get(0x80), 0x30u);
  put(0x80, 0x50);
  EXPECT_EQ(kept(0x80), 0x50u);
  put(0x300, 0xc0041);  // a message to all others
  ASSERT_EQ(keeper.messages.size(), 1u);
  EXPECT_EQ(keeper.messages[0].address, 0xfee01000u);
  EXPECT_EQ(keeper.messages[0].data, 0x4041u);
}

TEST_F(LentApicTest, InitResetsTheKeptOne) {
  ASSERT_TRUE(bus.lend(keeper));
  keeper.images[0].base = 0xfee00d00;
  kept(0x80) = 0x30;
  first.init();
  EXPECT_EQ(kept(0x80), 0u);
  EXPECT_EQ(kept(0xf0), 0xffu);
  EXPECT_EQ(keeper.images[0].base, 0xfee00d00u) << "INIT leaves it";
}

TEST_F(LentApicTest, WhoRefusesOneGetsNone) {
  bus.deliver({.destination = 0, .vector = 0x41});
  keeper.refused = 1;
  EXPECT_FALSE(bus.lend(keeper));
  EXPECT_EQ(first.acknowledge(), 0x41);
  EXPECT_TRUE(bus.deliver({.destination = 1, .vector = 0x42}));
  EXPECT_TRUE(keeper.messages.empty());
  EXPECT_EQ(second.acknowledge(), 0x42);
}

TEST_F(LentApicTest, TakingBackWhatIsHereDoesNothing) {
  bus.deliver({.destination = 0, .vector = 0x41});
  bus.take_back();
  EXPECT_EQ(first.acknowledge(), 0x41);
}

}  // namespace
}  // namespace eidolon::interrupt
