// Transitional devices (virtio 1.2, 4.1.4.10): driven by the legacy registers only, as a driver that is older
// than virtio 1.0 does it.
#include "base/bits.h"
#include "device/virtio/balloon.h"
#include "device/virtio/block.h"
#include "device/virtio/net.h"
#include "device/virtio/pmem.h"
#include "device/virtio/rng.h"
#include "net/fake_link.h"
#include "storage/memory_medium.h"
#include "virtio/fixture.h"

namespace eidolon::device::virtio {
namespace {

using storage::MemoryMedium;

class LegacyTest : public VirtioTest {
 protected:
  // Registers.
  static constexpr uint64_t kOffered = 0, kAccepted = 4, kAddress = 8, kSize = 12, kSelect = 14,
                            kNotification = 16, kStatus = 18, kIsrStatus = 19, kConfigVectorAt = 20,
                            kQueueVectorAt = 22;
  static constexpr uint64_t kIndirectAndEvents = kFeatureIndirect | kFeatureEventIndex;
  static constexpr GuestPhysical kRing = 0x20000;

  void put_transitional(Device& device) {
    transport = std::make_unique<PciTransport>(device, PciForm::kTransitional);
    root.add(kSlot, 0, *transport);
    ASSERT_TRUE(pci::place(root, bridge, lpc, kWindows));
    VirtioTest::write(kSlot, pci::kCommand, 2, 7);
    legacy = VirtioTest::read(kSlot, 0x10) & ~3u;
    table = VirtioTest::read(kSlot, 0x14);
    bar = VirtioTest::read(kSlot, 0x20);
  }
  uint64_t in(uint64_t offset, unsigned size) { return ports.read(legacy + offset, size); }
  void out(uint64_t offset, unsigned size, uint64_t value) { ports.write(legacy + offset, size, value); }

  /// The ring that a legacy driver lays out for a queue: one piece of memory, whose size the device says.
  SplitDriver legacy_queue(unsigned number, GuestPhysical at = kRing) {
    out(kSelect, 2, number);
    const auto size = static_cast<uint16_t>(in(kSize, 2));
    const uint64_t driver = at + 16 * size, device = align_up(driver + 6 + 2 * size, 4096);
    SplitDriver queue(*memory,
                      RingPlace{.size = size, .descriptors = at, .driver = driver, .device = device});
    out(kAddress, 4, at >> 12);
    EXPECT_EQ(in(kAddress, 4), at >> 12);
    return queue;
  }
  void start(uint64_t features) {
    out(kStatus, 1, 0);
    out(kStatus, 1, 1);
    out(kStatus, 1, 3);
    out(kAccepted, 4, features);
    EXPECT_EQ(in(kAccepted, 4), features);
  }
  void ready() {
    out(kStatus, 1, 7);
    ASSERT_EQ(in(kStatus, 1), 7u);
  }
  void enable_messages() {
    unsigned at = VirtioTest::read(kSlot, pci::kCapabilities, 1);
    while (VirtioTest::read(kSlot, at, 1) != pci::kCapabilityMsiX) at = VirtioTest::read(kSlot, at + 1, 1);
    VirtioTest::write(kSlot, at + 2, 2, 0x8000);
    mmio.write(table + 16, 4, 0xfee00000);
    mmio.write(table + 24, 4, kQueueVector);
    mmio.write(table + 28, 4, 0);
  }
  uint64_t legacy = 0;
};

class LegacyBlockTest : public LegacyTest {
 protected:
  static constexpr GuestPhysical kHeader = kData, kBlockStatus = kData + 0x80, kBuffer = kData + 0x1000;
  LegacyBlockTest() { put_transitional(block); }
  static void offer(SplitDriver& queue, uint32_t type, uint64_t sector, bool device_writes) {
    queue.put<uint32_t>(kHeader, type);
    queue.put<uint64_t>(kHeader + 8, sector);
    queue.put<uint8_t>(kBlockStatus, 0xee);
    queue.descriptor(0, kHeader, 16, SplitDriver::kNext, 1);
    queue.descriptor(1, kBuffer, 512,
                     static_cast<uint16_t>(SplitDriver::kNext | (device_writes ? SplitDriver::kWrite : 0)),
                     2);
    queue.descriptor(2, kBlockStatus, 1, SplitDriver::kWrite);
    queue.offer(0);
  }
  void submit(SplitDriver& queue, uint32_t type, uint64_t sector, bool device_writes) {
    offer(queue, type, sector, device_writes);
    out(kNotification, 2, 0);
  }
  MemoryMedium medium{1 << 20};
  Block block{"blk", medium, "number 7"};
};

TEST_F(LegacyBlockTest, HasTheIdentityThatOldDriversLookFor) {
  EXPECT_EQ(VirtioTest::read(kSlot, 0), 0x10011af4u);
  EXPECT_EQ(VirtioTest::read(kSlot, 8, 1), 0u);
  EXPECT_EQ(VirtioTest::read(kSlot, 0x2c), 0x00021af4u);
  EXPECT_EQ(VirtioTest::read(kSlot, 0x10) & 3, 1u) << "ports";
  EXPECT_EQ(in(kOffered, 4), block.offered_features() & 0xffffffff);
  EXPECT_EQ(in(kSize, 2), block.shape().queue_sizes[0]);
  out(kSelect, 2, 7);
  EXPECT_EQ(in(kSelect, 2), 7u);
  EXPECT_EQ(in(kSize, 2), 0u) << "there is no such queue";
  out(kAddress, 4, 16);
  EXPECT_EQ(in(kAddress, 4), 0u);
}

TEST_F(LegacyBlockTest, ReadsAndWritesByTheWire) {
  start(0);
  SplitDriver queue = legacy_queue(0);
  ready();
  EXPECT_EQ(in(kConfigVectorAt, 8), (1 << 20) / 512u) << "the capacity, where nothing is about vectors";
  medium.bytes[9 * 512] = 0x5a;
  submit(queue, 0, 9, true);
  ASSERT_TRUE(wait_until([&] { return queue.used() == 1; }));
  EXPECT_EQ(queue.get<uint8_t>(kBlockStatus), 0);
  EXPECT_EQ(queue.get<uint8_t>(kBuffer), 0x5a);
  ASSERT_TRUE(wait_until([&] { return in(kIsrStatus, 1) == 1; }));
  EXPECT_EQ(in(kIsrStatus, 1), 0u) << "reading has cleared it";
  queue.put<uint8_t>(kBuffer, 0x77);
  submit(queue, 1, 10, false);
  ASSERT_TRUE(wait_until([&] { return queue.used() == 2; }));
  EXPECT_EQ(medium.bytes[10 * 512], 0x77);
}

TEST_F(LegacyBlockTest, SaysByMessagesWhatItWouldByTheWire) {
  start(kIndirectAndEvents);
  enable_messages();
  EXPECT_EQ(in(24, 8), (1 << 20) / 512u) << "the configuration has moved";
  SplitDriver queue = legacy_queue(0);
  EXPECT_EQ(in(kQueueVectorAt, 2), 0xffffu);
  out(kQueueVectorAt, 2, 1);
  EXPECT_EQ(in(kQueueVectorAt, 2), 1u);
  out(kConfigVectorAt, 2, 99);
  EXPECT_EQ(in(kConfigVectorAt, 2), 0xffffu) << "there is no such vector";
  ready();
  submit(queue, 0, 9, true);
  ASSERT_TRUE(wait_until([&] { return local.interrupt_pending(); }));
  EXPECT_EQ(local.acknowledge(), kQueueVector);
  EXPECT_EQ(queue.used(), 1u);
}

TEST_F(LegacyBlockTest, AZeroTakesTheQueueAwayAndAResetEverything) {
  start(0);
  (void)legacy_queue(0);
  out(kAddress, 4, 0);
  EXPECT_EQ(in(kAddress, 4), 0u);
  (void)legacy_queue(0);
  ready();
  out(kStatus, 1, 0);
  EXPECT_EQ(in(kStatus, 1), 0u);
  EXPECT_EQ(in(kAddress, 4), 0u);
  EXPECT_EQ(in(kAccepted, 4), 0u);
  EXPECT_EQ(in(kSelect, 2), 0u);
}

TEST_F(LegacyBlockTest, ARingOutsideMemoryNeedsAReset) {
  start(0);
  out(kAddress, 4, 0xffffffff);
  out(kStatus, 1, 7);
  EXPECT_EQ(in(kStatus, 1), uint64_t{7} | kStatusNeedsReset);
}

TEST_F(LegacyBlockTest, WhatIsNotOfferedIsNotAccepted) {
  out(kAccepted, 4, 0xffffffff);
  EXPECT_EQ(in(kAccepted, 4), in(kOffered, 4));
}

TEST_F(LegacyBlockTest, AModernDriverFindsTheStructuresElsewhere) {
  accept(offered() & ~kFeaturePacked & ~kFeatureEventIndex);
  SplitDriver queue = make_queue(0);
  driver_ok();
  EXPECT_EQ(status(), 15u);
  EXPECT_EQ(get_bar(kConfig, 8), (1 << 20) / 512u);
  offer(queue, 0, 9, true);
  notify(0);
  EXPECT_TRUE(wait_until([&] { return queue.used() == 1; }));
}

TEST_F(LegacyBlockTest, AModernDriverCannotDoWithoutVersion1) {
  accept(0);
  EXPECT_EQ(status() & kStatusFeaturesOk, 0);
}

TEST_F(LegacyBlockTest, ASnapshotKeepsALegacyDriver) {
  start(0);
  SplitDriver queue = legacy_queue(0);
  ready();
  StateWriter saved;
  transport->save(saved);
  out(kStatus, 1, 0);
  StateReader reader(saved.bytes());
  transport->load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(in(kStatus, 1), 7u);
  EXPECT_EQ(in(kAddress, 4), kRing >> 12);
  submit(queue, 0, 9, true);
  EXPECT_TRUE(wait_until([&] { return queue.used() == 1; }));
}

class LegacyNetTest : public LegacyTest {
 protected:
  static constexpr uint32_t kMergeable = 1u << 15;
  LegacyNetTest() { put_transitional(net); }
  std::vector<uint8_t> frame_of(uint8_t fill) {
    std::vector<uint8_t> frame(64, fill);
    std::ranges::fill_n(frame.begin(), 6, uint8_t{0xff});
    return frame;
  }
  /// Where a received frame begins behind its header.
  uint64_t header_of_received(uint32_t features) {
    start(features);
    SplitDriver queue = legacy_queue(0);
    ready();
    queue.descriptor(0, kData, 2048, SplitDriver::kWrite);
    queue.offer(0);
    out(kNotification, 2, 0);
    EXPECT_TRUE(link.card->receive_large(frame_of(0x33), {}));
    EXPECT_EQ(queue.used(), 1u);
    const uint64_t header = queue.used_length(0) - 64;
    EXPECT_EQ(peek<uint8_t>(kData + header), 0xff);
    EXPECT_EQ(peek<uint8_t>(kData + header + 63), 0x33);
    return header;
  }
  eidolon::device::net::FakeLink link;
  Net net{"net", link, eidolon::device::net::kFirstAddress, 1};
};

TEST_F(LegacyNetTest, ReceivesWithTheShortHeader) { EXPECT_EQ(header_of_received(0), 10u); }

TEST_F(LegacyNetTest, SaysHowManyBuffersIfThatWasAgreed) { EXPECT_EQ(header_of_received(kMergeable), 12u); }

TEST_F(LegacyNetTest, SendsWithTheShortHeader) {
  start(0);
  SplitDriver queue = legacy_queue(1);
  ready();
  const std::vector<uint8_t> frame = frame_of(0x44), header(10);
  ASSERT_TRUE(memory->write(kData, header.data(), header.size()));
  ASSERT_TRUE(memory->write(kData + 10, frame.data(), frame.size()));
  queue.descriptor(0, kData, 74, 0);
  queue.offer(0);
  out(kNotification, 2, 1);
  std::vector<uint8_t> sent;
  ASSERT_TRUE(link.card->next_frame(sent));
  EXPECT_EQ(sent, frame);
}

TEST_F(LegacyTest, RandomNumbersComeByIt) {
  Rng rng("rng");
  put_transitional(rng);
  EXPECT_EQ(VirtioTest::read(kSlot, 0), 0x10051af4u);
  start(0);
  SplitDriver queue = legacy_queue(0);
  ready();
  queue.descriptor(0, kData, 64, SplitDriver::kWrite);
  queue.offer(0);
  out(kNotification, 2, 0);
  ASSERT_TRUE(wait_until([&] { return queue.used() == 1; }));
  EXPECT_EQ(queue.used_length(0), 64u);
}

TEST_F(LegacyTest, TheConfigurationIsWritten) {
  Balloon balloon("balloon");
  put_transitional(balloon);
  EXPECT_EQ(VirtioTest::read(kSlot, 0), 0x10021af4u);
  out(24, 4, 5);
  EXPECT_EQ(in(24, 4), 5u) << "what the driver says that it keeps";
}

TEST_F(LegacyTest, YoungerDevicesAreModernOnly) {
  MemoryMedium medium{4096};
  Pmem pmem("pmem", medium, 0);
  put_transitional(pmem);
  EXPECT_EQ(VirtioTest::read(kSlot, 0), 0x105b1af4u);
  EXPECT_EQ(VirtioTest::read(kSlot, 8, 1), 1u);
}

}  // namespace
}  // namespace eidolon::device::virtio
