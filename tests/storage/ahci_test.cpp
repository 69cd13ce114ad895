// The AHCI controller as a driver sees it: registers, command lists and FISes in memory.
#include "device/storage/ahci.h"

#include "device/storage/ata_cdrom.h"
#include "device/storage/ata_disk.h"
#include "pci/fixture.h"
#include "storage/memory_medium.h"

namespace eidolon::device::storage {
namespace {

using namespace ahci;

class AhciTest : public pci::PciTest {
 protected:
  static constexpr GuestPhysical kList = 0x10000, kFis = 0x11000, kTables = 0x20000, kBuffer = 0x60000;
  static constexpr uint64_t kTableBytes = 0x1000;
  static constexpr uint8_t kVector = 0x51;

  AhciTest() {
    controller.emplace("ahci");
    controller->attach(0, std::make_unique<ata::Disk>(medium, "serial", ata::BusKind::kSerial));
    controller->attach(1, std::make_unique<ata::Cdrom>(&disc, "serial", ata::BusKind::kSerial));
    root.add(Ahci::kDevice, Ahci::kFunction, *controller);
    EXPECT_TRUE(pci::place(root, bridge, lpc, kWindows));
    config_write(pci::kCommand, 2, 7);
    bar = root.config_read(0, kAt, 0x24, 4);
    set(kGhc, kGhcInterrupts);
    start(0);
  }
  ~AhciTest() override {
    medium.hold = false;
    controller.reset();
  }
  static constexpr unsigned kAt = Ahci::kDevice << 3 | Ahci::kFunction;
  void config_write(unsigned offset, unsigned size, uint32_t value) {
    root.config_write(0, kAt, offset, size, value);
  }
  uint32_t get(uint32_t offset) { return static_cast<uint32_t>(mmio.read(bar + offset, 4)); }
  void set(uint32_t offset, uint32_t value) { mmio.write(bar + offset, 4, value); }
  static uint32_t at(unsigned port, uint32_t offset) { return kFirstPort + port * kPortBytes + offset; }
  void start(unsigned port) {
    set(at(port, kClb), static_cast<uint32_t>(kList));
    set(at(port, kFb), static_cast<uint32_t>(kFis));
    set(at(port, kSerr), ~0u);
    set(at(port, kPxIe), ~0u);
    set(at(port, kCmd), kFisReceive | kStart);
  }
  template <typename T>
  void put(GuestPhysical address, T value) {
    ASSERT_TRUE(memory->write(address, &value, sizeof value));
  }
  template <typename T>
  T take(GuestPhysical address) {
    T value{};
    EXPECT_TRUE(memory->read(address, &value, sizeof value));
    return value;
  }
  static constexpr GuestPhysical table(unsigned slot) { return kTables + slot * kTableBytes; }
  struct Region {
    uint64_t address;
    uint32_t bytes;
  };
  /// Writes a slot of the list; the caller sets PxCI.
  void fill(unsigned slot, const ata::TaskFile& task, const std::vector<Region>& regions,
            const std::vector<uint8_t>& cdb = {}) {
    const std::array<uint8_t, 20> fis = {kFisH2d,
                                         kFisIsCommand,
                                         task.command,
                                         static_cast<uint8_t>(task.features),
                                         static_cast<uint8_t>(task.lba),
                                         static_cast<uint8_t>(task.lba >> 8),
                                         static_cast<uint8_t>(task.lba >> 16),
                                         task.device,
                                         static_cast<uint8_t>(task.lba >> 24),
                                         static_cast<uint8_t>(task.lba >> 32),
                                         static_cast<uint8_t>(task.lba >> 40),
                                         static_cast<uint8_t>(task.features >> 8),
                                         static_cast<uint8_t>(task.count),
                                         static_cast<uint8_t>(task.count >> 8)};
    ASSERT_TRUE(memory->write(table(slot), fis.data(), fis.size()));
    if (!cdb.empty()) {
      ASSERT_TRUE(memory->write(table(slot) + kTableCdb, cdb.data(), cdb.size()));
    }
    for (size_t i = 0; i < regions.size(); ++i) {
      put<uint64_t>(table(slot) + kTablePrds + 16 * i, regions[i].address);
      put<uint64_t>(table(slot) + kTablePrds + 16 * i + 8, uint64_t{regions[i].bytes - 1} << 32);
    }
    put<uint16_t>(kList + 32 * slot, 5);
    put<uint16_t>(kList + 32 * slot + 2, static_cast<uint16_t>(regions.size()));
    put<uint32_t>(kList + 32 * slot + 4, 0);
    put<uint64_t>(kList + 32 * slot + 8, table(slot));
  }
  void issue(const ata::TaskFile& task, const std::vector<Region>& regions, unsigned port = 0,
             const std::vector<uint8_t>& cdb = {}) {
    fill(0, task, regions, cdb);
    set(at(port, kCi), 1);
  }
  /// Waits for the command's end; PxTFD.
  uint32_t finish(unsigned port = 0) {
    EXPECT_TRUE(wait_until([&] { return get(at(port, kPxIs)) != 0; }));
    EXPECT_TRUE(wait_until([&] { return (get(at(port, kTfd)) & ata::kBusy) == 0; }));
    return get(at(port, kTfd));
  }
  void use_messages() {
    unsigned cap = root.config_read(0, kAt, pci::kCapabilities, 1);
    while (root.config_read(0, kAt, cap, 1) != pci::kCapabilityMsi)
      cap = root.config_read(0, kAt, cap + 1, 1);
    config_write(cap + 4, 4, 0xfee00000);
    config_write(cap + 12, 2, kVector);
    config_write(cap + 2, 2, 1);
  }

  MemoryMedium medium{1 << 20};
  MemoryMedium disc{1 << 20};
  std::optional<Ahci> controller;
  uint64_t bar = 0;
};

TEST_F(AhciTest, TellsWhatIsThere) {
  EXPECT_EQ(root.config_read(0, kAt, 0, 4), 0x29228086u);
  EXPECT_EQ(get(kVs), 0x10301u);
  EXPECT_EQ(get(kCap) & 0x1f, 5u);
  EXPECT_EQ(get(kPi), 0x3fu);
  EXPECT_EQ(get(at(0, kSsts)), 0x133u);
  EXPECT_EQ(get(at(0, kSig)), 0x00000101u);
  EXPECT_EQ(get(at(1, kSig)), 0xeb140101u);
  EXPECT_EQ(get(at(2, kSsts)), 0u);
  EXPECT_EQ(get(at(2, kTfd)), 0x7fu);
  EXPECT_EQ(get(at(7, kSig)), 0u) << "there is no port 7";
}

TEST_F(AhciTest, IdentifiesByPio) {
  issue({.command = ata::kIdentify}, {{kBuffer, 512}});
  EXPECT_EQ(finish() & 0xff, 0x50u);
  EXPECT_EQ(get(at(0, kPxIs)), kIntPioSetup);
  EXPECT_EQ(take<uint8_t>(kFis + kFisPioSetupAt), kFisPioSetup);
  EXPECT_EQ(take<uint16_t>(kFis + kFisPioSetupAt + 16), 512u);
  EXPECT_EQ(take<uint16_t>(kBuffer), 0x0040u);
  EXPECT_EQ(take<uint32_t>(kList + 4), 512u) << "PRDBC";
  EXPECT_EQ(get(at(0, kCi)), 0u);
}

TEST_F(AhciTest, ReadsAndWritesScatteredMemory) {
  put<uint64_t>(kBuffer, 0x1122334455667788);
  put<uint64_t>(kBuffer + 0x1000, 0x99aabbccddeeff00);
  issue({.command = ata::kWriteDmaExt, .count = 2, .lba = 7}, {{kBuffer, 512}, {kBuffer + 0x1000, 512}});
  EXPECT_EQ(finish() & 0xff, 0x50u);
  EXPECT_EQ(get(at(0, kPxIs)), kIntD2h);
  EXPECT_EQ(take<uint8_t>(kFis + kFisD2hAt), kFisD2h);
  EXPECT_EQ(medium.bytes[7 * 512], 0x88);
  EXPECT_EQ(medium.bytes[8 * 512 + 1], 0xff);
  set(at(0, kPxIs), ~0u);
  medium.bytes[100 * 512 + 2] = 0x5a;
  issue({.command = ata::kReadDma, .device = ata::kLbaMode, .count = 1, .lba = 100},
        {{kBuffer, 2}, {kBuffer + 0x200, 510}});
  EXPECT_EQ(finish() & 0xff, 0x50u);
  EXPECT_EQ(take<uint8_t>(kBuffer + 0x200), 0x5a);
}

TEST_F(AhciTest, AMessageComesForACommandAndTheWireWithoutMessages) {
  issue({.command = ata::kFlushExt}, {});
  finish();
  EXPECT_NE(root.config_read(0, kAt, pci::kStatus, 2) & pci::kStatusInterrupt, 0u);
  set(at(0, kPxIs), ~0u);
  set(kIs, ~0u);
  EXPECT_EQ(root.config_read(0, kAt, pci::kStatus, 2) & pci::kStatusInterrupt, 0u);
  use_messages();
  issue({.command = ata::kFlushExt}, {});
  EXPECT_TRUE(wait_until([&] { return local.interrupt_pending(); }));
  EXPECT_EQ(local.acknowledge(), kVector);
  EXPECT_EQ(get(kIs), 1u);
}

TEST_F(AhciTest, QueuedCommandsAreDoneInAnyOrder) {
  for (unsigned slot = 0; slot < 8; ++slot) {
    medium.bytes[slot * 512] = static_cast<uint8_t>(0x10 + slot);
    fill(slot,
         {.command = ata::kReadFpdma,
          .device = ata::kLbaMode,
          .features = 1,
          .count = static_cast<uint16_t>(slot << 3),
          .lba = slot},
         {{kBuffer + slot * 0x1000, 512}});
  }
  set(at(0, kSact), 0xff);
  set(at(0, kCi), 0xff);
  EXPECT_TRUE(wait_until([&] { return get(at(0, kSact)) == 0; }));
  EXPECT_EQ(get(at(0, kCi)), 0u);
  EXPECT_NE(get(at(0, kPxIs)) & kIntSetDeviceBits, 0u);
  EXPECT_EQ(take<uint8_t>(kFis + kFisBitsAt), kFisSetBits);
  for (unsigned slot = 0; slot < 8; ++slot) EXPECT_EQ(take<uint8_t>(kBuffer + slot * 0x1000), 0x10 + slot);
}

TEST_F(AhciTest, AFailedQueuedCommandStopsTheList) {
  fill(3,
       {.command = ata::kReadFpdma, .device = ata::kLbaMode, .features = 1, .count = 3 << 3, .lba = 1 << 20},
       {{kBuffer, 512}});
  set(at(0, kSact), 1 << 3);
  set(at(0, kCi), 1 << 3);
  EXPECT_EQ(finish(), 0x1051u) << "ID not found";
  EXPECT_NE(get(at(0, kPxIs)) & kIntTaskFile, 0u);
  EXPECT_EQ(get(at(0, kSact)), 1u << 3) << "not done";
  fill(0, {.command = ata::kFlushExt}, {});
  set(at(0, kCi), 1);
  EXPECT_EQ(get(at(0, kCi)), 1u) << "nothing is taken before the list was stopped";
  set(at(0, kCmd), kFisReceive);
  EXPECT_EQ(get(at(0, kSact)), 0u);
  set(at(0, kPxIs), ~0u);
  start(0);
  issue({.command = ata::kReadLogExt, .count = 1, .lba = 0x10}, {{kBuffer, 512}});
  EXPECT_EQ(finish() & 0xff, 0x50u);
  EXPECT_EQ(take<uint8_t>(kBuffer), 3) << "the tag";
}

TEST_F(AhciTest, AnErrorLeavesItsSlotAndTellsOfIt) {
  issue({.command = 0xff}, {});
  EXPECT_EQ(finish(), 0x0451u);
  EXPECT_EQ(get(at(0, kPxIs)), kIntD2h | kIntTaskFile);
  EXPECT_EQ(get(at(0, kCi)), 1u);
}

TEST_F(AhciTest, TheSoftAndThePortResetBringTheSignatureBack) {
  std::array<uint8_t, 20> fis = {kFisH2d};
  fill(0, {}, {});
  fis[15] = ata::kSoftReset;
  ASSERT_TRUE(memory->write(table(0), fis.data(), fis.size()));
  set(at(0, kCi), 1);
  EXPECT_TRUE(wait_until([&] { return get(at(0, kCi)) == 0; }));
  fis[15] = 0;
  ASSERT_TRUE(memory->write(table(0), fis.data(), fis.size()));
  set(at(0, kCi), 1);
  EXPECT_TRUE(wait_until([&] { return get(at(0, kCi)) == 0; }));
  EXPECT_EQ(get(at(0, kTfd)), 0x0150u);
  EXPECT_EQ(take<uint8_t>(kFis + kFisD2hAt + 12), 1) << "the count of a signature";

  set(at(0, kCmd), kFisReceive);
  set(at(0, kSctl), 0x301);
  EXPECT_EQ(get(at(0, kSsts)), 0u);
  set(at(0, kSctl), 0x300);
  EXPECT_EQ(get(at(0, kSsts)), 0x133u);
  EXPECT_NE(get(at(0, kPxIs)) & kIntConnect, 0u);
  set(at(0, kSerr), ~0u);
  EXPECT_EQ(get(at(0, kPxIs)) & kIntConnect, 0u);
}

TEST_F(AhciTest, TheControllersResetLeavesNothing) {
  set(at(0, kPxIe), 3);
  set(kGhc, kGhcReset);
  EXPECT_EQ(get(kGhc), kGhcAhci);
  EXPECT_EQ(get(at(0, kPxIe)), 0u);
  EXPECT_EQ(get(at(0, kCmd)) & kStart, 0u);
}

TEST_F(AhciTest, PacketsReachTheDrive) {
  start(1);
  issue({.command = ata::kPacket, .features = 1}, {}, 1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(finish(1), 0x6051u) << "unit attention after a reset";
  set(at(1, kCmd), kFisReceive);
  set(at(1, kPxIs), ~0u);
  start(1);
  disc.bytes[2048 * 5] = 0x77;
  issue({.command = ata::kPacket, .features = 1}, {{kBuffer, 4096}}, 1,
        {0x28, 0, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0});
  EXPECT_EQ(finish(1) & 0xff, 0x50u);
  EXPECT_EQ(take<uint8_t>(kBuffer), 0x77);
  EXPECT_EQ(take<uint32_t>(kList + 4), 2048u);
  set(at(1, kPxIs), ~0u);
  issue({.command = ata::kPacket}, {{kBuffer, 36}}, 1, {0x12, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(finish(1) & 0xff, 0x50u);
  EXPECT_TRUE(wait_until([&] { return (get(at(1, kPxIs)) & kIntD2h) != 0; }));
  EXPECT_EQ(take<uint8_t>(kBuffer), 5);
}

// What no driver does.

TEST_F(AhciTest, RegionsOutsideMemoryAreAHostBusErrorAndTouchNothing) {
  issue({.command = ata::kReadDmaExt, .count = 1}, {{0xfffff000, 512}});
  EXPECT_TRUE(wait_until([&] { return (get(at(0, kPxIs)) & kIntHostBusFatal) != 0; }));
  set(at(0, kCmd), kFisReceive);
  set(at(0, kPxIs), ~0u);
  start(0);
  issue({.command = ata::kReadDmaExt, .count = 1}, {{0x100000 - 256, 512}});
  EXPECT_TRUE(wait_until([&] { return (get(at(0, kPxIs)) & kIntHostBusFatal) != 0; }));
  EXPECT_EQ(take<uint8_t>(0x100000 - 256), 0);
}

TEST_F(AhciTest, TooFewRegionsAreAnOverflow) {
  issue({.command = ata::kReadDmaExt, .count = 4}, {{kBuffer, 512}});
  EXPECT_EQ(finish(), 0x0451u);
  EXPECT_NE(get(at(0, kPxIs)) & kIntOverflow, 0u);
}

TEST_F(AhciTest, ListsAndTablesOutsideMemoryStopThePort) {
  set(at(0, kCmd), 0);
  set(at(0, kClb), 0xf0000000);
  set(at(0, kCmd), kStart);
  set(at(0, kCi), 1);
  EXPECT_TRUE(wait_until([&] { return (get(at(0, kPxIs)) & kIntHostBusFatal) != 0; }));
  set(at(0, kCmd), 0);
  set(at(0, kPxIs), ~0u);
  start(0);
  fill(0, {.command = ata::kIdentify}, {{kBuffer, 512}});
  put<uint64_t>(kList + 8, ~uint64_t{0});
  set(at(0, kCi), 1);
  EXPECT_TRUE(wait_until([&] { return (get(at(0, kPxIs)) & kIntHostBusFatal) != 0; }));
}

TEST_F(AhciTest, SomethingElseThanAFisStopsThePort) {
  fill(0, {.command = ata::kIdentify}, {{kBuffer, 512}});
  put<uint8_t>(table(0), 0x99);
  set(at(0, kCi), 1);
  EXPECT_TRUE(wait_until([&] { return (get(at(0, kPxIs)) & kIntInterfaceFatal) != 0; }));
}

TEST_F(AhciTest, StoppingWaitsForWhatIsUnderWayAndNothingComesAfter) {
  medium.hold = true;
  medium.bytes[0] = 1;
  issue({.command = ata::kReadDmaExt, .count = 1}, {{kBuffer, 512}});
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 1; }));
  std::thread releaser([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    medium.hold = false;
  });
  set(at(0, kCmd), kFisReceive);
  EXPECT_EQ(get(at(0, kCmd)) & kListRunning, 0u);
  put<uint64_t>(kBuffer, 0x77);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(take<uint64_t>(kBuffer), 0x77u);
  releaser.join();
}

TEST_F(AhciTest, WhatAnotherProcessorWritesWhileAStopWaitsIsKept) {
  constexpr uint32_t kLed = 1u << 25;
  medium.hold = true;
  issue({.command = ata::kReadDmaExt, .count = 1}, {{kBuffer, 512}});
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 1; }));
  std::thread stopper([this] { mmio.write(bar + at(0, kCmd), 1, kFisReceive); });  // the lowest byte
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  set(at(0, kCmd), kStart | kFisReceive | kLed);
  medium.hold = false;
  stopper.join();
  EXPECT_EQ(get(at(0, kCmd)) & (kStart | kFisReceive | kLed), kFisReceive | kLed);
}

TEST_F(AhciTest, WithoutBusMasteringNothingMoves) {
  config_write(pci::kCommand, 2, 2);
  issue({.command = ata::kReadDmaExt, .count = 1}, {{kBuffer, 512}});
  EXPECT_TRUE(wait_until([&] { return (get(at(0, kPxIs)) & kIntHostBusFatal) != 0; }));
}

TEST_F(AhciTest, StateIsSavedAndLoaded) {
  set(at(0, kPxIe), 0x5);
  StateWriter writer;
  controller->save(writer);
  set(kGhc, kGhcReset);
  StateReader reader(writer.bytes());
  controller->load(reader);
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(get(at(0, kPxIe)), 5u);
  EXPECT_EQ(get(at(0, kClb)), kList);
  issue({.command = ata::kIdentify}, {{kBuffer, 512}});
  finish();
  EXPECT_EQ(take<uint16_t>(kBuffer), 0x0040u);
}

}  // namespace
}  // namespace eidolon::device::storage
