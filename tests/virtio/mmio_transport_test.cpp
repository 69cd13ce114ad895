// Virtio over MMIO: the registers of version 2, a wire that is a level, queues that are taken away,
// snapshots.
#include "device/virtio/mmio_transport.h"

#include "pci/fixture.h"
#include "virtio/echo.h"

namespace eidolon::device::virtio {
namespace {

class MmioTransportTest : public pci::PciTest {
 protected:
  static constexpr uint64_t kBase = 0xfef40000;
  static constexpr GuestPhysical kRings = 0x10000, kData = 0x60000;
  static constexpr unsigned kPin = 21;
  static constexpr uint8_t kVector = 0x61;

  MmioTransportTest() {
    EXPECT_TRUE(mmio.attach(kBase, MmioTransport::kBytes, transport, "echo"));
    route_pin(kPin, kVector | 1u << 15);  // a level
  }
  uint32_t get(uint64_t offset) { return static_cast<uint32_t>(mmio.read(kBase + offset, 4)); }
  void set(uint64_t offset, uint32_t value) { mmio.write(kBase + offset, 4, value); }
  void accept(uint64_t features) {
    set(0x70, 3);
    for (uint32_t half = 0; half < 2; ++half) {
      set(0x24, half);
      set(0x20, static_cast<uint32_t>(features >> (32 * half)));
    }
    set(0x70, 11);
  }
  SplitDriver make_queue(unsigned number, uint16_t size = 8) {
    SplitDriver driver(*memory, kRings + number * 0x4000, size);
    const RingPlace& place = driver.place();
    set(0x30, number);
    set(0x38, size);
    set(0x80, static_cast<uint32_t>(place.descriptors));
    set(0x84, static_cast<uint32_t>(place.descriptors >> 32));
    set(0x90, static_cast<uint32_t>(place.driver));
    set(0x94, static_cast<uint32_t>(place.driver >> 32));
    set(0xa0, static_cast<uint32_t>(place.device));
    set(0xa4, static_cast<uint32_t>(place.device >> 32));
    set(0x44, 1);
    return driver;
  }
  void start() {
    accept(kFeatureVersion1);
    ASSERT_EQ(get(0x70), 11u);
  }
  void offer(SplitDriver& driver, uint32_t value) { offer_echo(driver, kData, value); }

  Echo echo;
  MmioTransport transport{echo, *memory, root.pirq().source(kPin - pci::Pirq::kFirstPin)};
};

TEST_F(MmioTransportTest, SaysWhatItIs) {
  EXPECT_EQ(get(0x00), 0x74726976u) << "\"virt\"";
  EXPECT_EQ(get(0x04), 2u);
  EXPECT_EQ(get(0x08), 40u);
  EXPECT_EQ(get(0x0c), 0x1af4u);
}

TEST_F(MmioTransportTest, OffersFeaturesByHalvesAndRefusesOthers) {
  set(0x14, 0);
  EXPECT_EQ(get(0x10), (kRingFeatures | 8) & 0xffffffff);
  set(0x14, 1);
  EXPECT_EQ(get(0x10), kRingFeatures >> 32);
  set(0x14, 2);
  EXPECT_EQ(get(0x10), 0u);
  accept(kFeatureVersion1 | 16);
  EXPECT_EQ(get(0x70), 3u) << "FEATURES_OK does not stay";
  set(0x70, 0);
  accept(kFeatureVersion1 | 8);
  EXPECT_EQ(get(0x70), 11u);
}

TEST_F(MmioTransportTest, TellsItsQueues) {
  set(0x30, 0);
  EXPECT_EQ(get(0x34), 16u);
  set(0x30, 1);
  EXPECT_EQ(get(0x34), 8u);
  set(0x38, 4);
  EXPECT_EQ(get(0x34), 8u) << "the most that there can be";
  for (const uint32_t none : {2u, 0xffffu, 0x10000u, 0xffffffffu}) {
    set(0x30, none);
    EXPECT_EQ(get(0x34), 0u) << none;
    set(0x44, 1);
    EXPECT_EQ(get(0x44), 0u) << none;
  }
}

TEST_F(MmioTransportTest, ThereIsNoSharedMemory) {
  set(0xac, 0);
  EXPECT_EQ(get(0xb0), 0xffffffffu);
  EXPECT_EQ(get(0xb4), 0xffffffffu);
}

TEST_F(MmioTransportTest, RegistersAreReadAndWrittenAsAWhole) {
  EXPECT_EQ(mmio.read(kBase, 1), 0u);
  EXPECT_EQ(mmio.read(kBase + 2, 4), 0u);
  mmio.write(kBase + 0x70, 1, 3);
  EXPECT_EQ(get(0x70), 0u);
  EXPECT_EQ(get(0x40), 0u) << "reserved";
}

TEST_F(MmioTransportTest, TheConfigurationIsReadAndWrittenInAnyPart) {
  EXPECT_EQ(mmio.read(kBase + 0x101, 2), 0x0302u);
  EXPECT_EQ(get(0x104), 5u) << "zeros after its end";
  mmio.write(kBase + 0x100, 1, 0x77);
  EXPECT_EQ(echo.bytes[0], 0x77);
}

TEST_F(MmioTransportTest, CarriesBuffersAndAssertsItsWireUntilTheLastCauseIsAcknowledged) {
  start();
  SplitDriver driver = make_queue(1);
  set(0x70, 15);
  offer(driver, 0xcafe);
  set(0x50, 1);
  EXPECT_EQ(driver.used(), 1u);
  EXPECT_EQ(driver.get<uint32_t>(kData + 16), 0xcafeu);
  EXPECT_EQ(local.acknowledge(), kVector);
  EXPECT_EQ(get(0x60), 1u);
  finish_interrupt();
  EXPECT_EQ(local.acknowledge(), kVector) << "a level comes again";
  driver.set_available(0x8000);
  set(0x50, 1);
  EXPECT_EQ(get(0x60), 3u) << "DEVICE_NEEDS_RESET is a change of the configuration";
  set(0x64, 1);
  finish_interrupt();
  EXPECT_EQ(local.acknowledge(), kVector);
  set(0x64, 2);
  EXPECT_EQ(get(0x60), 0u);
  finish_interrupt();
  EXPECT_FALSE(local.interrupt_pending());
}

TEST_F(MmioTransportTest, DevicesShareAWire) {
  Echo second;
  MmioTransport other(second, *memory, root.pirq().source(kPin - pci::Pirq::kFirstPin));
  ASSERT_TRUE(mmio.attach(kBase + MmioTransport::kBytes, MmioTransport::kBytes, other, "second"));
  set(0x70, 4);  // without FEATURES_OK: it needs a reset, and says so
  mmio.write(kBase + MmioTransport::kBytes + 0x70, 4, 4);
  EXPECT_EQ(local.acknowledge(), kVector);
  set(0x64, 2);
  finish_interrupt();
  EXPECT_EQ(local.acknowledge(), kVector) << "of the other one";
  mmio.write(kBase + MmioTransport::kBytes + 0x64, 4, 2);
  finish_interrupt();
  EXPECT_FALSE(local.interrupt_pending());
}

TEST_F(MmioTransportTest, ResetForgetsEverything) {
  start();
  SplitDriver driver = make_queue(0);
  set(0x70, 15);
  offer(driver, 1);
  set(0x50, 0);
  ASSERT_EQ(get(0x60), 1u);
  set(0x70, 0);
  EXPECT_EQ(get(0x70), 0u);
  EXPECT_EQ(get(0x60), 0u);
  EXPECT_EQ(get(0x44), 0u);
  (void)local.acknowledge();
  finish_interrupt();
  EXPECT_FALSE(local.interrupt_pending());
  offer(driver, 2);
  set(0x50, 0);
  EXPECT_EQ(driver.used(), 1u);
}

TEST_F(MmioTransportTest, AQueueIsTakenAwayAndSetUpAgainBeforeTheDriverIsReady) {
  start();
  make_queue(0);
  EXPECT_EQ(get(0x44), 1u);
  set(0x44, 0);
  EXPECT_EQ(get(0x44), 0u);
  SplitDriver driver = make_queue(0, 4);
  set(0x70, 15);
  EXPECT_EQ(get(0x70), 15u);
  offer(driver, 5);
  set(0x50, 0);
  EXPECT_EQ(driver.used(), 1u);
}

TEST_F(MmioTransportTest, AQueueThatIsTakenAwayLaterIsForAReset) {
  start();
  SplitDriver driver = make_queue(0);
  set(0x70, 15);
  set(0x30, 1);
  set(0x44, 0);
  EXPECT_EQ(get(0x70), 15u) << "that one was not in use";
  set(0x30, 0);
  set(0x44, 0);
  EXPECT_EQ(get(0x70), 15u | kStatusNeedsReset);
  EXPECT_EQ(get(0x44), 0u);
  offer(driver, 1);
  set(0x50, 0);
  EXPECT_EQ(driver.used(), 0u);
}

TEST_F(MmioTransportTest, ANotificationStormIsCalm) {
  start();
  SplitDriver driver = make_queue(0);
  set(0x70, 15);
  for (uint32_t i = 0; i < 1000; ++i) set(0x50, i * 0x01010101);
  offer(driver, 3);
  set(0x50, 0);
  EXPECT_EQ(driver.used(), 1u);
}

TEST_F(MmioTransportTest, SnapshotsCarryARunningDeviceAndItsWire) {
  start();
  SplitDriver driver = make_queue(0);
  set(0x70, 15);
  offer(driver, 1);
  set(0x50, 0);
  EXPECT_EQ(local.acknowledge(), kVector);
  StateWriter saved;
  transport.save(saved);
  transport.reset();
  finish_interrupt();
  ASSERT_FALSE(local.interrupt_pending());
  StateReader reader(saved.bytes());
  transport.load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(get(0x70), 15u);
  EXPECT_EQ(get(0x60), 1u);
  EXPECT_EQ(local.acknowledge(), kVector);
  set(0x64, 1);
  finish_interrupt();
  offer(driver, 2);
  set(0x50, 0);
  EXPECT_EQ(driver.used(), 2u);
  EXPECT_EQ(driver.get<uint32_t>(kData + 16), 2u);
}

TEST_F(MmioTransportTest, ADamagedSnapshotResetsTheDevice) {
  start();
  make_queue(0);
  set(0x70, 15);
  StateWriter saved;
  transport.save(saved);
  for (size_t cut = 0; cut < saved.bytes().size(); cut += 7) {
    StateReader reader(std::span(saved.bytes()).first(cut));
    transport.load(reader);
    EXPECT_TRUE(reader.failed());
    EXPECT_EQ(get(0x70), 0u);
  }
}

}  // namespace
}  // namespace eidolon::device::virtio
