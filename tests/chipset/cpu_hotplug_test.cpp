// Processors that come and go, as the DSDT's methods see it, and the general-purpose event that tells them.
#include "device/chipset/cpu_hotplug.h"

#include "chipset/fixture.h"

namespace eidolon::device {
namespace {

constexpr uint8_t kEnabled = 1, kInserted = 2, kWanted = 4, kEject = 8;
constexpr uint64_t kStatus = 0x20, kEnable = 0x28;  ///< GPE0

class CpuHotplugTest : public DeviceTest {
 protected:
  void SetUp() override { block.io_write(kEnable, 1, 1u << CpuHotplug::kEvent); }
  void select(uint32_t processor) { hotplug.io_write(0, 4, processor); }
  void command(uint8_t value) { hotplug.io_write(5, 1, value); }
  uint64_t flags() { return hotplug.io_read(4, 1); }
  uint64_t data() { return hotplug.io_read(8, 4); }
  void flag(uint8_t value) { hotplug.io_write(4, 1, value); }
  void finish_event() { block.io_write(kStatus, 1, 1u << CpuHotplug::kEvent); }

  RecordingLine button;
  AcpiPm pm{timers, button, machine};
  PmBlock block{pm, &irq};
  std::vector<unsigned> given_back;
  CpuHotplug hotplug{{.sockets = 2, .cores = 3}, 2, block, [this](unsigned i) { given_back.push_back(i); }};
};

TEST_F(CpuHotplugTest, IsFoundAsItsSpecificationSays) {
  select(0);
  command(0);
  EXPECT_EQ(hotplug.io_read(0, 4), 0u);
  unsigned present = 0;
  unsigned possible = 0;
  do {
    present += static_cast<unsigned>(flags() & kEnabled);
    select(++possible);
  } while (data() != 0);
  EXPECT_EQ(present, 2u);
  EXPECT_EQ(possible, 6u);
}

TEST_F(CpuHotplugTest, TellsApicIds) {
  select(5);
  command(3);
  EXPECT_EQ(data(), 6u) << "the second socket begins at 4";
  EXPECT_EQ(hotplug.io_read(0, 4), 0u);
}

TEST_F(CpuHotplugTest, AnInsertedProcessorRaisesTheEventUntilItIsSeen) {
  ASSERT_TRUE(hotplug.plugged_in(3));
  EXPECT_TRUE(irq.level());
  EXPECT_EQ(block.io_read(kStatus, 1), 1u << CpuHotplug::kEvent);
  finish_event();
  EXPECT_FALSE(irq.level());
  select(0);
  command(0);
  EXPECT_EQ(data(), 3u);
  EXPECT_EQ(flags(), kEnabled | kInserted);
  flag(kInserted);
  EXPECT_EQ(flags(), kEnabled);
  command(0);
  EXPECT_EQ(flags() & (kInserted | kWanted), 0u) << "no other has an event";
}

TEST_F(CpuHotplugTest, AProcessorIsAskedForAndGivenBack) {
  ASSERT_TRUE(hotplug.ask_for(1));
  EXPECT_TRUE(irq.level());
  finish_event();
  select(0);
  command(0);
  EXPECT_EQ(data(), 1u);
  EXPECT_EQ(flags(), kEnabled | kWanted);
  flag(kWanted);
  EXPECT_TRUE(hotplug.present(1));
  flag(kEject);
  EXPECT_EQ(given_back, std::vector<unsigned>{1});
  EXPECT_FALSE(hotplug.present(1));
  EXPECT_EQ(flags(), 0u);
  flag(kEject);
  EXPECT_EQ(given_back.size(), 1u) << "only once";
}

TEST_F(CpuHotplugTest, TheFirstProcessorStays) {
  EXPECT_FALSE(hotplug.ask_for(0));
  select(0);
  flag(kEject);
  EXPECT_TRUE(given_back.empty());
  EXPECT_TRUE(hotplug.present(0));
}

TEST_F(CpuHotplugTest, WhatCannotBeIsRefused) {
  EXPECT_FALSE(hotplug.plugged_in(1)) << "there already";
  EXPECT_FALSE(hotplug.plugged_in(6)) << "no room";
  EXPECT_FALSE(hotplug.ask_for(4)) << "not there";
  EXPECT_FALSE(hotplug.ask_for(1000));
  EXPECT_FALSE(irq.level());
}

TEST_F(CpuHotplugTest, KeepsWhatTheGuestAnswered) {
  select(1);
  command(1);
  hotplug.io_write(8, 4, 0x103);
  command(2);
  hotplug.io_write(8, 4, 0x81);
  EXPECT_EQ(hotplug.answer(1).event, 0x103u);
  EXPECT_EQ(hotplug.answer(1).status, 0x81u);
  EXPECT_EQ(data(), 0u);
}

TEST_F(CpuHotplugTest, ASelectorThatNamesNobodyReadsZeroAndWritesNothing) {
  select(6);
  EXPECT_EQ(flags(), 0u);
  EXPECT_EQ(data(), 0u);
  command(0);
  flag(0xff);
  EXPECT_EQ(data(), 0u);
  select(~0u);
  EXPECT_EQ(hotplug.io_read(0, 4), 0u);
  EXPECT_EQ(hotplug.io_read(6, 1), 0u);
  select(1);
  EXPECT_EQ(flags(), kEnabled);
}

TEST_F(CpuHotplugTest, ResetForgetsEventsButNotProcessors) {
  ASSERT_TRUE(hotplug.plugged_in(3));
  ASSERT_TRUE(hotplug.ask_for(1));
  hotplug.reset();
  select(3);
  EXPECT_EQ(flags(), kEnabled);
  select(1);
  EXPECT_EQ(flags(), kEnabled);
}

TEST_F(CpuHotplugTest, SnapshotCarriesWhoIsThere) {
  ASSERT_TRUE(hotplug.plugged_in(5));
  StateWriter saved;
  hotplug.save(saved);
  CpuHotplug other({.sockets = 2, .cores = 3}, 1, block, {});
  StateReader reader(saved.bytes());
  other.load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_TRUE(other.present(1));
  EXPECT_TRUE(other.present(5));
  EXPECT_FALSE(other.present(2));
  other.io_write(0, 4, 5);
  EXPECT_EQ(other.io_read(4, 1), kEnabled | kInserted);
}

TEST_F(CpuHotplugTest, AnEventWaitsUntilItIsEnabled) {
  block.io_write(kEnable, 1, 0);
  ASSERT_TRUE(hotplug.plugged_in(3));
  EXPECT_FALSE(irq.level());
  block.io_write(kEnable, 1, 1u << CpuHotplug::kEvent);
  EXPECT_TRUE(irq.level());
  block.reset();
  EXPECT_FALSE(irq.level());
}

}  // namespace
}  // namespace eidolon::device
