// The I/O APIC with a local APIC behind it, and the router in front of it.
#include "interrupt/io_apic.h"

#include <gtest/gtest.h>

#include "interrupt/irq_router.h"
#include "interrupt/local_apic.h"

namespace eidolon::interrupt {
namespace {

class IoApicTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bus.connect(local);
    bus.connect(io);
    local.attach(events, {.now = [] { return uint64_t{0}; }, .hz = 1'000'000'000});
    local.io_write(0xf0, 4, 0x1ff);
  }
  void select(uint8_t index) { io.io_write(0x00, 4, index); }
  uint32_t get(uint8_t index) {
    select(index);
    return static_cast<uint32_t>(io.io_read(0x10, 4));
  }
  void put(uint8_t index, uint32_t value) {
    select(index);
    io.io_write(0x10, 4, value);
  }
  void route(unsigned pin, uint32_t low, uint32_t high = 0) {
    put(static_cast<uint8_t>(0x11 + 2 * pin), high);
    put(static_cast<uint8_t>(0x10 + 2 * pin), low);
  }
  uint32_t entry(unsigned pin) { return get(static_cast<uint8_t>(0x10 + 2 * pin)); }
  void eoi() { local.io_write(0xb0, 4, 0); }

  ManualClock clock;
  TimerQueue timers{clock};
  cpu::EventFlags events;
  ApicBus bus;
  LocalApic local{bus, timers, 0, true};
  IoApic io{bus, 1};
};

constexpr uint32_t kLevelMode = 1u << 15;
constexpr uint32_t kRemote = 1u << 14;
constexpr uint32_t kMask = 1u << 16;

TEST_F(IoApicTest, IdentifiesItself) {
  EXPECT_EQ(get(0), 1u << 24);
  EXPECT_EQ(get(1), 0x00170020u);
  put(0, 0x0f000000);
  EXPECT_EQ(get(0), 0x0f000000u);
  put(1, 0);
  EXPECT_EQ(get(1), 0x00170020u);
}

TEST_F(IoApicTest, EntriesStartMaskedAndKeepReadOnlyBits) {
  EXPECT_EQ(entry(0), kMask);
  EXPECT_EQ(entry(23), kMask);
  route(23, 0xffffffff, 0xffffffff);
  EXPECT_EQ(entry(23), 0x0001afffu);
  EXPECT_EQ(get(0x3f), 0xff000000u);
  EXPECT_EQ(get(0x40), 0u);
}

TEST_F(IoApicTest, AnEdgeIsDeliveredOnce) {
  route(4, 0x34);
  io.set_pin(4, true);
  EXPECT_EQ(events.pending() & cpu::kEventInterrupt, unsigned{cpu::kEventInterrupt});
  EXPECT_EQ(local.acknowledge(), 0x34);
  eoi();
  EXPECT_FALSE(local.interrupt_pending());
  io.set_pin(4, false);
  io.set_pin(4, true);
  EXPECT_EQ(local.acknowledge(), 0x34);
}

TEST_F(IoApicTest, AMaskedEdgeIsLostAndAMaskedLevelWaits) {
  route(4, 0x34 | kMask);
  route(9, 0x39 | kMask | kLevelMode);
  io.set_pin(4, true);
  io.set_pin(9, true);
  route(4, 0x34);
  EXPECT_FALSE(local.interrupt_pending());
  route(9, 0x39 | kLevelMode);
  EXPECT_EQ(local.acknowledge(), 0x39);
}

TEST_F(IoApicTest, ALevelComesAgainAfterTheEoiWhileItIsAsserted) {
  route(9, 0x39 | kLevelMode);
  io.set_pin(9, true);
  EXPECT_EQ(local.acknowledge(), 0x39);
  EXPECT_NE(entry(9) & kRemote, 0u);
  EXPECT_EQ(local.io_read(0x180 + 0x10, 4), 1u << (0x39 - 0x20)) << "TMR";
  EXPECT_FALSE(local.interrupt_pending());
  eoi();
  EXPECT_EQ(local.acknowledge(), 0x39);
  io.set_pin(9, false);
  eoi();
  EXPECT_FALSE(local.interrupt_pending());
  EXPECT_EQ(entry(9) & kRemote, 0u);
}

TEST_F(IoApicTest, TheEoiRegisterFinishesALevel) {
  route(9, 0x39 | kLevelMode);
  io.set_pin(9, true);
  EXPECT_EQ(local.acknowledge(), 0x39);
  io.set_pin(9, false);
  io.io_write(0x40, 4, 0x39);
  EXPECT_EQ(entry(9) & kRemote, 0u);
}

TEST_F(IoApicTest, SwitchingToEdgeClearsRemoteIrr) {
  route(9, 0x39 | kLevelMode);
  io.set_pin(9, true);
  route(9, 0x39 | kMask);
  EXPECT_EQ(entry(9) & kRemote, 0u);
}

TEST_F(IoApicTest, DeliversNmiAndInit) {
  route(5, 4u << 8);
  io.set_pin(5, true);
  EXPECT_EQ(events.take(~0u), unsigned{cpu::kEventNmi});
  route(6, 5u << 8);
  io.set_pin(6, true);
  EXPECT_EQ(events.take(~0u), unsigned{cpu::kEventInit});
}

TEST_F(IoApicTest, SelectsByDestination) {
  route(4, 0x34, 7u << 24);
  io.set_pin(4, true);
  EXPECT_FALSE(local.interrupt_pending());
  local.io_write(0xd0, 4, 0x02000000);
  route(5, 0x35 | 1u << 11, 0x02u << 24);
  io.set_pin(5, true);
  EXPECT_EQ(local.acknowledge(), 0x35);
}

TEST_F(IoApicTest, ALevelThatNobodyTookIsNotRemembered) {
  route(9, 0x39 | kLevelMode, 7u << 24);
  io.set_pin(9, true);
  EXPECT_EQ(entry(9) & kRemote, 0u);
  route(9, 0x39 | kLevelMode, 0);
  EXPECT_EQ(local.acknowledge(), 0x39);
}

TEST_F(IoApicTest, SnapshotKeepsEntries) {
  route(9, 0x39 | kLevelMode);
  io.set_pin(9, true);
  StateWriter saved;
  io.save(saved);
  IoApic other(bus);
  StateReader reader(saved.bytes());
  other.load(reader);
  other.io_write(0, 4, 0x10 + 18);
  EXPECT_EQ(other.io_read(0x10, 4), 0x39u | kLevelMode | kRemote);
}

TEST_F(IoApicTest, RouterReachesBothControllersAndOrsItsSources) {
  Pic pic;
  IrqRouter router(&pic, &io);
  IrqLine& timer = router.isa(0);
  IrqLine& first = router.isa(4);
  IrqLine& second = router.isa(4);
  route(2, 0x32);
  route(4, 0x34);
  pic.master_ports().io_write(0, 1, 0x11);
  pic.master_ports().io_write(1, 1, 0x20);
  pic.master_ports().io_write(1, 1, 0x04);
  pic.master_ports().io_write(1, 1, 0x01);
  timer.set(true);
  EXPECT_EQ(local.acknowledge(), 0x32);
  EXPECT_EQ(pic.acknowledge(), 0x20);
  eoi();
  pic.master_ports().io_write(0, 1, 0x20);
  first.set(true);
  second.set(true);
  EXPECT_EQ(local.acknowledge(), 0x34);
  eoi();
  first.set(false);
  EXPECT_TRUE(pic.output()) << "the second source still asserts the wire";
  EXPECT_FALSE(local.interrupt_pending());
  second.set(false);
  EXPECT_FALSE(pic.output());
}

}  // namespace
}  // namespace eidolon::interrupt
