// The IDE controller as a driver sees it: task files, the data port and the bus master.
#include "device/storage/ide.h"

#include "device/storage/ata_cdrom.h"
#include "device/storage/ata_disk.h"
#include "pci/fixture.h"
#include "storage/memory_medium.h"
#include "storage/threaded_line.h"

namespace eidolon::device::storage {
namespace {

class IdeTest : public pci::PciTest {
 protected:
  static constexpr GuestPhysical kTable = 0x10000, kBuffer = 0x20000;
  static constexpr unsigned kAt = Ide::kDevice << 3 | Ide::kFunction;

  // The first channel has two disks, the second a CD-ROM drive.
  IdeTest() {
    controller.emplace("ide", std::array<IrqLine*, 2>{&irq14, &irq15});
    controller->attach(0, 0, std::make_unique<ata::Disk>(medium, "one", ata::BusKind::kParallel));
    controller->attach(0, 1, std::make_unique<ata::Disk>(second, "two", ata::BusKind::kParallel));
    controller->attach(1, 0, std::make_unique<ata::Cdrom>(&disc, "cd", ata::BusKind::kParallel));
    root.add(Ide::kDevice, Ide::kFunction, *controller);
    for (unsigned i = 0; i < 2; ++i) {
      EXPECT_TRUE(ports.attach(Ide::kCommandPort[i], 8, controller->command_ports(i), "ide"));
      EXPECT_TRUE(ports.attach(Ide::kControlPort[i], 1, controller->control_port(i), "ide control"));
    }
    EXPECT_TRUE(pci::place(root, bridge, lpc, kWindows));
    root.config_write(0, kAt, pci::kCommand, 2, 5);
    master = root.config_read(0, kAt, 0x20, 4) & ~3u;
  }
  ~IdeTest() override {
    medium.hold = false;
    controller.reset();
  }
  uint8_t in(uint64_t port) { return static_cast<uint8_t>(ports.read(port, 1)); }
  void out(uint64_t port, unsigned value) { ports.write(port, 1, value); }
  uint8_t status(unsigned channel = 0) { return in(Ide::kControlPort[channel]); }
  bool wait_ready(unsigned channel = 0) {
    return wait_until([&] { return (status(channel) & ata::kBusy) == 0; });
  }
  /// 28-bit registers and the command.
  void command(uint8_t opcode, unsigned count = 0, uint32_t lba = 0, unsigned drive = 0,
               unsigned channel = 0) {
    const uint64_t base = Ide::kCommandPort[channel];
    out(base + 6, 0xe0 | drive << 4 | lba >> 24);
    out(base + 2, count);
    for (unsigned i = 0; i < 3; ++i) out(base + 3 + i, lba >> (8 * i) & 0xff);
    out(base + 7, opcode);
  }
  std::vector<uint8_t> read_words(size_t words, unsigned channel = 0) {
    std::vector<uint8_t> data;
    for (size_t i = 0; i < words; ++i) {
      const uint64_t word = ports.read(Ide::kCommandPort[channel], 2);
      data.push_back(static_cast<uint8_t>(word));
      data.push_back(static_cast<uint8_t>(word >> 8));
    }
    return data;
  }
  void send_packet(const std::array<uint8_t, 12>& cdb, bool dma, unsigned limit = 0xfffe) {
    const uint64_t base = Ide::kCommandPort[1];
    out(base + 6, 0xa0);
    out(base + 1, dma);
    out(base + 4, limit & 0xff);
    out(base + 5, limit >> 8);
    out(base + 7, ata::kPacket);
    ASSERT_TRUE(wait_ready(1));
    for (unsigned i = 0; i < 12; i += 2) ports.write(base, 2, cdb[i] | cdb[i + 1] << 8);
  }
  struct Region {
    uint32_t address;
    uint32_t bytes;
    bool last;
  };
  void master_table(const std::vector<Region>& regions, unsigned channel = 0) {
    for (size_t i = 0; i < regions.size(); ++i) {
      const uint64_t entry =
          regions[i].address | uint64_t{regions[i].bytes & 0xffff} << 32 | uint64_t{regions[i].last} << 63;
      ASSERT_TRUE(memory->write(kTable + 8 * i, &entry, sizeof entry));
    }
    ports.write(master + 8 * channel + 4, 4, kTable);
    out(master + 8 * channel + 2, 6);
  }
  void start_master(bool to_memory, unsigned channel = 0) { out(master + 8 * channel, 1 | to_memory << 3); }

  ThreadedLine irq14, irq15;
  MemoryMedium medium{1 << 20}, second{1 << 20}, disc{1 << 20};
  std::optional<Ide> controller;
  uint64_t master = 0;
};

TEST_F(IdeTest, ResetShowsSignatures) {
  out(0x3f6, 4);
  EXPECT_EQ(status(), ata::kBusy);
  out(0x3f6, 0);
  EXPECT_EQ(status(), ata::kIdle);
  EXPECT_EQ(in(0x1f1), 1) << "diagnostics passed";
  EXPECT_EQ(in(0x1f2) | in(0x1f3) << 8 | in(0x1f4) << 16 | in(0x1f5) << 24, 0x0101);
  EXPECT_EQ(in(0x174), 0x14);
  EXPECT_EQ(in(0x175), 0xeb);
  out(0x176, 0xb0);
  EXPECT_EQ(in(0x177), 0) << "a drive that is not there";
  EXPECT_EQ(in(0x172), 0);
}

TEST_F(IdeTest, IdentifiesByPio) {
  command(ata::kIdentify);
  ASSERT_TRUE(wait_ready());
  EXPECT_EQ(status(), ata::kIdle | ata::kDataRequest);
  EXPECT_TRUE(irq14.level);
  EXPECT_NE(in(0x1f7), 0);
  EXPECT_FALSE(irq14.level) << "reading the status takes the interrupt away";
  const std::vector<uint8_t> page = read_words(256);
  EXPECT_EQ(page[0], 0x40);
  EXPECT_EQ(std::string(page.begin() + 20, page.begin() + 24), "no e") << "the serial number, swapped";
  EXPECT_EQ(status(), ata::kIdle);
  EXPECT_FALSE(irq14.level);
}

TEST_F(IdeTest, ReadsSectorsWithAnInterruptForEach) {
  medium.bytes[5 * 512] = 0x11;
  medium.bytes[6 * 512] = 0x22;
  command(ata::kReadSectors, 2, 5);
  ASSERT_TRUE(wait_until([&] { return irq14.level.load(); }));
  (void)in(0x1f7);
  EXPECT_EQ(read_words(256)[0], 0x11);
  ASSERT_TRUE(wait_until([&] { return irq14.level.load(); }));
  (void)in(0x1f7);
  EXPECT_EQ(read_words(256)[0], 0x22);
  EXPECT_EQ(status(), ata::kIdle);
}

TEST_F(IdeTest, WritesSectorsByPioTo48BitAddresses) {
  for (const unsigned port : {0x1f2u, 0x1f3u, 0x1f4u, 0x1f5u}) out(port, 0);
  out(0x1f2, 2);
  out(0x1f3, 9);
  out(0x1f4, 0);
  out(0x1f5, 0);
  out(0x1f6, 0x50);
  out(0x1f7, ata::kWriteSectorsExt);
  for (unsigned sector = 0; sector < 2; ++sector) {
    ASSERT_TRUE(wait_ready());
    ASSERT_NE(status() & ata::kDataRequest, 0);
    for (unsigned i = 0; i < 128; ++i) ports.write(0x1f0, 4, 0x01010101 * (sector + 1));
  }
  ASSERT_TRUE(wait_ready());
  EXPECT_EQ(status(), ata::kIdle);
  EXPECT_TRUE(irq14.level);
  EXPECT_EQ(second.bytes[9 * 512], 1);
  EXPECT_EQ(second.bytes[10 * 512 + 511], 2);
}

TEST_F(IdeTest, EarlierBytesAreReadBackWithHob) {
  out(0x1f3, 0x12);
  out(0x1f3, 0x34);
  EXPECT_EQ(in(0x1f3), 0x34);
  out(0x3f6, 0x80);
  EXPECT_EQ(in(0x1f3), 0x12);
  out(0x1f2, 0);
  EXPECT_EQ(in(0x1f3), 0x34) << "a write clears HOB";
}

TEST_F(IdeTest, TheBusMasterReads) {
  medium.bytes[0x30 * 512] = 0x5a;
  medium.bytes[0x31 * 512] = 0xa5;
  master_table({{kBuffer, 512, false}, {kBuffer + 0x1000, 512, true}});
  command(ata::kReadDma, 2, 0x30);
  EXPECT_EQ(status() & ata::kBusy, ata::kBusy) << "waits for the bus master";
  start_master(true);
  ASSERT_TRUE(wait_until([&] { return irq14.level.load(); }));
  EXPECT_EQ(in(master + 2) & 7, 4) << "interrupt, not active, no error";
  EXPECT_EQ(in(0x1f7), ata::kIdle);
  uint8_t bytes[2] = {};
  ASSERT_TRUE(memory->read(kBuffer, &bytes[0], 1));
  ASSERT_TRUE(memory->read(kBuffer + 0x1000, &bytes[1], 1));
  EXPECT_EQ(bytes[0], 0x5a);
  EXPECT_EQ(bytes[1], 0xa5);
  out(master, 0);
  out(master + 2, 4);
  EXPECT_EQ(in(master + 2) & 7, 0);
}

TEST_F(IdeTest, TheBusMasterWritesMoreThanItsTableNeeds) {
  const uint64_t value = 0x1234;
  ASSERT_TRUE(memory->write(kBuffer, &value, 8));
  master_table({{kBuffer, 0, true}});  // zero is 64 KiB
  start_master(false);
  command(ata::kWriteDma, 1, 3);
  ASSERT_TRUE(wait_until([&] { return irq14.level.load(); }));
  EXPECT_EQ(in(master + 2) & 7, 5) << "interrupt, and the table is not at its end";
  EXPECT_EQ(medium.bytes[3 * 512], 0x34);
}

TEST_F(IdeTest, InterruptsCanBeKeptBack) {
  out(0x3f6, 2);
  command(ata::kFlush);
  ASSERT_TRUE(wait_ready());
  EXPECT_FALSE(irq14.level);
  EXPECT_EQ(in(master + 2) & 4, 0);
  out(0x3f6, 0);
  EXPECT_TRUE(irq14.level);
}

TEST_F(IdeTest, ErrorsAreInTheRegisters) {
  command(ata::kReadSectors, 1, 1 << 20);
  ASSERT_TRUE(wait_ready());
  EXPECT_EQ(status(), ata::kIdle | ata::kError);
  EXPECT_EQ(in(0x1f1), ata::kIdNotFound);
  medium.result = IoStatus::kFailed;
  command(ata::kReadSectors, 1, 1);
  ASSERT_TRUE(wait_ready());
  EXPECT_EQ(in(0x1f1), ata::kUncorrectable);
}

TEST_F(IdeTest, PacketsByPioComeInPiecesOfTheHostsChoice) {
  send_packet({0x03, 0, 0, 0, 18}, false);  // takes the unit attention
  ASSERT_TRUE(wait_ready(1));
  EXPECT_EQ(read_words(9, 1)[12], 0x29);
  disc.bytes[2048] = 0x42;
  disc.bytes[2048 + 1000] = 0x43;
  send_packet({0x28, 0, 0, 0, 0, 1, 0, 0, 1}, false, 1000);
  ASSERT_TRUE(wait_until([&] { return irq15.level.load(); }));
  EXPECT_EQ(in(0x174) | in(0x175) << 8, 1000);
  EXPECT_EQ(in(0x172), ata::kReasonIn);
  EXPECT_EQ(read_words(500, 1)[0], 0x42);
  EXPECT_EQ(read_words(500, 1)[0], 0x43);
  EXPECT_EQ(in(0x174) | in(0x175) << 8, 48) << "the rest";
  read_words(24, 1);
  EXPECT_EQ(in(0x172), ata::kReasonIn | ata::kReasonCommand);
  EXPECT_EQ(in(0x177), ata::kIdle);
}

TEST_F(IdeTest, PacketsByTheBusMaster) {
  send_packet({0x03, 0, 0, 0, 18}, false);
  ASSERT_TRUE(wait_ready(1));
  read_words(9, 1);
  disc.bytes[7 * 2048] = 0x42;
  master_table({{kBuffer, 4096, true}}, 1);
  send_packet({0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 2}, true);
  start_master(true, 1);
  ASSERT_TRUE(wait_ready(1));
  EXPECT_EQ(in(0x177), ata::kIdle);
  uint8_t byte = 0;
  ASSERT_TRUE(memory->read(kBuffer, &byte, 1));
  EXPECT_EQ(byte, 0x42);
}

TEST_F(IdeTest, ADiskCommandToAPacketDeviceShowsItsSignature) {
  command(ata::kIdentify, 0, 0, 0, 1);
  EXPECT_NE(status(1) & ata::kError, 0);
  EXPECT_EQ(in(0x174) | in(0x175) << 8, 0xeb14);
  out(0x177, ata::kDeviceReset);
  EXPECT_EQ(status(1), 0);
}

TEST_F(IdeTest, ChannelsThatAreSwitchedOffDoNotAnswer) {
  root.config_write(0, kAt, 0x40, 2, 0);
  EXPECT_EQ(in(0x1f7), 0xff);
  root.config_write(0, kAt, 0x40, 2, 0x8000);
  EXPECT_EQ(in(0x1f7), ata::kIdle);
}

// What no driver does.

TEST_F(IdeTest, RegionsOutsideMemoryAreAnErrorOfTheMaster) {
  master_table({{0xfffff000, 512, true}});
  command(ata::kReadDma, 1, 0);
  start_master(true);
  ASSERT_TRUE(wait_until([&] { return irq14.level.load(); }));
  EXPECT_EQ(in(master + 2) & 7, 6);
  EXPECT_EQ(in(0x1f1), ata::kAborted | ata::kInterfaceCrc);
}

TEST_F(IdeTest, ATableOutsideMemoryIsAnErrorOfTheMaster) {
  ports.write(master + 4, 4, 0xfffffff0);
  command(ata::kWriteDma, 1, 0);
  start_master(false);
  ASSERT_TRUE(wait_until([&] { return irq14.level.load(); }));
  EXPECT_NE(in(master + 2) & 2, 0);
}

TEST_F(IdeTest, TooShortATableLeavesTheDriveWaiting) {
  master_table({{kBuffer, 512, true}});
  command(ata::kReadDma, 4, 0);
  start_master(true);
  ASSERT_TRUE(wait_until([&] { return (in(master + 2) & 1) == 0; }));
  EXPECT_EQ(in(master + 2) & 7, 0);
  EXPECT_EQ(status() & ata::kBusy, ata::kBusy);
  out(0x3f6, 4);
  out(0x3f6, 0);
  EXPECT_EQ(status(), ata::kIdle);
}

TEST_F(IdeTest, ACommandWhileBusyIsIgnored) {
  medium.hold = true;
  command(ata::kReadSectors, 1, 0);
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 1; }));
  command(ata::kIdentify);
  out(0x1f2, 0x77);
  medium.hold = false;
  ASSERT_TRUE(wait_ready());
  EXPECT_EQ(read_words(256)[0], 0) << "the sector, not the identity";
  EXPECT_NE(in(0x1f2), 0x77);
}

TEST_F(IdeTest, AResetWaitsForWhatIsUnderWayAndNothingComesAfter) {
  medium.hold = true;
  medium.bytes[0] = 1;
  master_table({{kBuffer, 512, true}});
  command(ata::kReadDma, 1, 0);
  start_master(true);
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 1; }));
  std::thread releaser([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    medium.hold = false;
  });
  out(0x3f6, 4);
  const uint64_t mark = 0x77;
  ASSERT_TRUE(memory->write(kBuffer, &mark, 8));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  uint64_t found = 0;
  ASSERT_TRUE(memory->read(kBuffer, &found, 8));
  EXPECT_EQ(found, 0x77u);
  releaser.join();
}

TEST_F(IdeTest, StateInTheMiddleOfATransferIsSavedAndLoaded) {
  medium.bytes[512 - 2] = 0x5a;
  command(ata::kReadSectors, 2, 0);
  ASSERT_TRUE(wait_ready());
  read_words(255);
  StateWriter writer;
  controller->save(writer);
  out(0x3f6, 4);
  out(0x3f6, 0);
  StateReader reader(writer.bytes());
  controller->load(reader);
  ASSERT_FALSE(reader.failed());
  EXPECT_EQ(read_words(1)[0], 0x5a);
  ASSERT_TRUE(wait_ready());
  read_words(256);
  EXPECT_EQ(status(), ata::kIdle);
}

}  // namespace
}  // namespace eidolon::device::storage
