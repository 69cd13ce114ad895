// Virtio over PCI: discovery, negotiation, queues, interrupts, reset; with a device that returns what it is
// sent.
#include "pci/doorbell_taker.h"
#include "virtio/echo.h"
#include "virtio/fixture.h"

namespace eidolon::device::virtio {
namespace {

class TransportTest : public VirtioTest {
 protected:
  TransportTest() { put(echo); }
  void start(uint64_t features = kFeatureVersion1) {
    accept(features);
    ASSERT_EQ(status(), 11u);
  }
  void offer(SplitDriver& driver, uint32_t value) { offer_echo(driver, kData, value); }
  Echo echo;
};

TEST_F(TransportTest, IsFoundAsAModernDeviceWithItsStructures) {
  EXPECT_EQ(read(kSlot, 0), 0x10681af4u);
  std::map<unsigned, unsigned> structures;
  for (unsigned at = read(kSlot, pci::kCapabilities, 1); at != 0; at = read(kSlot, at + 1, 1))
    if (read(kSlot, at, 1) == pci::kCapabilityVendor) structures[read(kSlot, at + 3, 1)] = at;
  ASSERT_EQ(structures.size(), 5u);
  EXPECT_EQ(read(kSlot, structures[1] + 8), 0u);
  EXPECT_EQ(read(kSlot, structures[2] + 16), 4u) << "bytes from one queue's notification to the next";
  EXPECT_EQ(read(kSlot, structures[3] + 8), kIsr);
}

TEST_F(TransportTest, OffersFeaturesAndRefusesOthers) {
  EXPECT_EQ(offered(), kRingFeatures | 8);
  accept(kFeatureVersion1 | 16);
  EXPECT_EQ(status(), 3u) << "FEATURES_OK does not stay";
  set_bar(0x14, 1, 0);
  accept(8);
  EXPECT_EQ(status(), 3u) << "nor without VERSION_1";
  set_bar(0x14, 1, 0);
  accept(kFeatureVersion1 | 8);
  EXPECT_EQ(status(), 11u);
}

TEST_F(TransportTest, TellsItsQueues) {
  EXPECT_EQ(get_bar(0x12, 2), 2u);
  set_bar(0x16, 2, 1);
  EXPECT_EQ(get_bar(0x18, 2), 8u);
  EXPECT_EQ(get_bar(0x1e, 2), 1u);
  EXPECT_EQ(get_bar(0x1a, 2), 0xffffu);
  set_bar(0x16, 2, 2);
  EXPECT_EQ(get_bar(0x18, 2), 0u) << "there is no third queue";
  set_bar(0x1c, 2, 1);
  EXPECT_EQ(get_bar(0x1c, 2), 0u);
}

TEST_F(TransportTest, CarriesBuffersAndInterruptsByMessage) {
  use_messages(2);
  start();
  SplitDriver driver = make_queue(1, 8);
  driver_ok();
  offer(driver, 0xcafe);
  notify(1);
  EXPECT_EQ(driver.used(), 1u);
  EXPECT_EQ(driver.get<uint32_t>(kData + 16), 0xcafeu);
  EXPECT_EQ(local.acknowledge(), kQueueVector + 1);
}

TEST_F(TransportTest, InterruptsByWireUntilTheIsrIsRead) {
  route_pin(16 + kSlot % 4, 0x61 | 1u << 15);
  start();
  SplitDriver driver = make_queue(0);
  driver_ok();
  offer(driver, 1);
  notify(0);
  EXPECT_EQ(local.acknowledge(), 0x61);
  EXPECT_EQ(get_bar(kIsr, 1), 1u);
  EXPECT_EQ(get_bar(kIsr, 1), 0u);
  finish_interrupt();
  EXPECT_FALSE(local.interrupt_pending());
}

TEST_F(TransportTest, TheConfigurationIsReadAndWritten) {
  EXPECT_EQ(get_bar(kConfig, 4), 0x04030201u);
  EXPECT_EQ(get_bar(kConfig + 4, 4), 5u) << "zeros after its end";
  set_bar(kConfig + 1, 2, 0x9988);
  EXPECT_EQ(get_bar(kConfig, 4), 0x04998801u);
}

TEST_F(TransportTest, TheWindowInConfigurationSpaceReachesTheStructures) {
  unsigned at = read(kSlot, pci::kCapabilities, 1);
  while (read(kSlot, at, 1) != pci::kCapabilityVendor || read(kSlot, at + 3, 1) != 5)
    at = read(kSlot, at + 1, 1);
  write(kSlot, at + 8, 4, kConfig);
  write(kSlot, at + 12, 4, 4);
  EXPECT_EQ(read(kSlot, at + 16), 0x04030201u);
  write(kSlot, at + 12, 4, 1);
  write(kSlot, at + 16, 4, 0x77);
  EXPECT_EQ(echo.bytes[0], 0x77);
  write(kSlot, at + 8, 4, 0xffffffff);
  write(kSlot, at + 12, 4, 4);
  write(kSlot, at + 16, 4, 1);
  (void)read(kSlot, at + 16);
}

TEST_F(TransportTest, ResetForgetsEverything) {
  use_messages(2);
  start();
  SplitDriver driver = make_queue(0);
  driver_ok();
  echo.resets = 0;
  set_bar(0x14, 1, 0);
  EXPECT_EQ(echo.resets, 1u + 1) << "the device, and the transport with it";
  EXPECT_EQ(status(), 0u);
  set_bar(0x16, 2, 0);
  EXPECT_EQ(get_bar(0x1c, 2), 0u);
  EXPECT_EQ(get_bar(0x20, 8), 0u);
  EXPECT_EQ(get_bar(0x10, 2), 0xffffu);
  offer(driver, 1);
  notify(0);
  EXPECT_EQ(driver.used(), 0u);
}

TEST_F(TransportTest, DoorbellsAreTheNotificationRegistersWhereverTheyAre) {
  pci::DoorbellTaker taker;
  root.addresses().give_doorbells(&taker);
  using Taken = pci::DoorbellTaker::Taken;
  const int first = Echo::kDoorbells;
  EXPECT_EQ(taker.taken, (Taken{{bar + kNotify, first}, {bar + kNotify + 4, first + 1}}));
  write(kSlot, pci::kCommand, 2, 5);
  EXPECT_EQ(taker.taken, Taken{}) << "memory decoding is off";
  write(kSlot, 0x10, 4, bar + 0x100000);
  write(kSlot, pci::kCommand, 2, 7);
  EXPECT_EQ(taker.taken,
            (Taken{{bar + 0x100000 + kNotify, first}, {bar + 0x100000 + kNotify + 4, first + 1}}));
  transport->reset();
  EXPECT_EQ(taker.taken, Taken{});
  root.addresses().give_doorbells(nullptr);
}

TEST_F(TransportTest, NothingHappensBeforeDriverOk) {
  start();
  SplitDriver driver = make_queue(0);
  offer(driver, 1);
  notify(0);
  EXPECT_EQ(driver.used(), 0u);
}

TEST_F(TransportTest, AHostileRingMakesTheDeviceAskForAReset) {
  use_messages(2);
  start();
  SplitDriver driver = make_queue(0);
  driver_ok();
  driver.set_available(0x8000);
  notify(0);
  EXPECT_EQ(status(), 15u | kStatusNeedsReset);
  EXPECT_EQ(local.acknowledge(), kConfigVector);
  finish_interrupt();
  notify(0);
  EXPECT_FALSE(local.interrupt_pending());
  set_bar(0x14, 1, 0);
  EXPECT_EQ(status(), 0u);
  start();
  SplitDriver again = make_queue(0);
  driver_ok();
  offer(again, 7);
  notify(0);
  EXPECT_EQ(again.used(), 1u) << "a reset brings it back";
}

TEST_F(TransportTest, RingsOutsideMemoryMakeItAskForAReset) {
  start();
  enable_queue(0, {.size = 16, .descriptors = 0xfffffffffffff000, .driver = 0x1000, .device = 0x2000});
  driver_ok();
  EXPECT_EQ(status(), 15u | kStatusNeedsReset);
}

TEST_F(TransportTest, ATooLargeQueueIsRefused) {
  start();
  enable_queue(0, {.size = 32, .descriptors = kRings, .driver = kRings + 0x1000, .device = kRings + 0x2000});
  driver_ok();
  EXPECT_EQ(status(), 15u | kStatusNeedsReset);
}

TEST_F(TransportTest, DriverOkWithoutFeaturesOkIsRefused) {
  set_bar(0x14, 1, 7);
  EXPECT_EQ(status() & kStatusNeedsReset, kStatusNeedsReset);
}

TEST_F(TransportTest, ANotificationStormOfAllQueuesIsCalm) {
  start();
  SplitDriver driver = make_queue(0);
  driver_ok();
  for (unsigned i = 0; i < 10'000; ++i) set_bar(kNotify + i % 0x1000 * 4 % 0x1000, 1u << i % 3, i);
  offer(driver, 3);
  notify(0);
  EXPECT_EQ(driver.used(), 1u);
}

TEST_F(TransportTest, SnapshotsCarryARunningDevice) {
  use_messages(2);
  start();
  SplitDriver driver = make_queue(0);
  driver_ok();
  offer(driver, 1);
  notify(0);
  EXPECT_EQ(local.acknowledge(), kQueueVector);
  finish_interrupt();
  StateWriter saved;
  transport->save(saved);
  transport->reset();
  EXPECT_EQ(status(), 0xff) << "the BAR is gone";
  StateReader reader(saved.bytes());
  transport->load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(status(), 15u);
  offer(driver, 2);
  notify(0);
  EXPECT_EQ(driver.used(), 2u);
  EXPECT_EQ(driver.get<uint32_t>(kData + 16), 2u);
  EXPECT_EQ(local.acknowledge(), kQueueVector);
}

TEST_F(TransportTest, ADamagedSnapshotResetsTheDevice) {
  start();
  make_queue(0);
  driver_ok();
  StateWriter saved;
  transport->save(saved);
  for (size_t cut = 4100; cut < saved.bytes().size(); cut += 7) {
    StateReader reader(std::span(saved.bytes()).first(cut));
    transport->load(reader);
    EXPECT_TRUE(reader.failed());
  }
  EXPECT_EQ(read(kSlot, pci::kCommand, 2), 0u);
}

}  // namespace
}  // namespace eidolon::device::virtio
