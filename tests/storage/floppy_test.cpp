// The floppy controller and the DMA controller as a driver sees them.
#include "device/storage/floppy.h"

#include <gtest/gtest.h>

#include "memory/io_bus.h"
#include "storage/memory_medium.h"
#include "storage/threaded_line.h"

namespace eidolon::device::storage {
namespace {

class FloppyTest : public testing::Test {
 protected:
  static constexpr uint64_t kBuffer = 0x12000;

  FloppyTest() {
    EXPECT_TRUE(memory->add_region(0, 0x100000, memory::RegionKind::kRam));
    EXPECT_TRUE(
        ports.attach(DmaController::kFirstPort, DmaController::kFirstPorts, dma.first_ports(), "dma"));
    EXPECT_TRUE(ports.attach(DmaController::kPagePort, DmaController::kPagePorts, dma.page_ports(), "pages"));
    EXPECT_TRUE(
        ports.attach(DmaController::kSecondPort, DmaController::kSecondPorts, dma.second_ports(), "dma2"));
    floppy.emplace("fdc", irq, dma);
    floppy->insert(0, medium, *floppy_format(medium.size()));
    EXPECT_TRUE(ports.attach(Floppy::kPort, Floppy::kPorts, floppy->ports(), "fdc"));
    EXPECT_TRUE(ports.attach(Floppy::kDirectionPort, 1, floppy->direction_port(), "fdc"));
    floppy->reset();
    out(0x3f2, 0x1c);
    for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(sense_interrupt(), 0xc0 + i) << "each drive after a reset";
    out(0x3f7, 0);
  }
  ~FloppyTest() override {
    medium.hold = false;
    floppy.reset();
  }
  uint8_t in(uint64_t port) { return static_cast<uint8_t>(ports.read(port, 1)); }
  void out(uint64_t port, unsigned value) { ports.write(port, 1, value); }
  void send(const std::vector<uint8_t>& bytes) {
    for (const uint8_t byte : bytes) {
      EXPECT_EQ(in(0x3f4) & 0xc0, 0x80);
      out(0x3f5, byte);
    }
  }
  std::vector<uint8_t> result() {
    EXPECT_TRUE(wait_until([&] { return (in(0x3f4) & 0xc0) == 0xc0; }));
    std::vector<uint8_t> bytes;
    while ((in(0x3f4) & 0xc0) == 0xc0) bytes.push_back(in(0x3f5));
    return bytes;
  }
  std::vector<uint8_t> run(const std::vector<uint8_t>& bytes) {
    send(bytes);
    return result();
  }
  unsigned sense_interrupt() { return run({0x08})[0]; }
  void seek(uint8_t cylinder) {
    send({0x0f, 0, cylinder});
    EXPECT_TRUE(irq.level);
    EXPECT_EQ(run({0x08}), (std::vector<uint8_t>{0x20, cylinder}));
  }
  /// Channel 2: `mode` is 0x46 to memory, 0x4a from memory.
  void program_dma(unsigned mode, unsigned bytes, uint32_t address = kBuffer) {
    out(0x0a, 6);
    out(0x0c, 0);
    out(0x0b, mode);
    out(0x04, address & 0xff);
    out(0x04, address >> 8 & 0xff);
    out(0x81, address >> 16);
    out(0x05, (bytes - 1) & 0xff);
    out(0x05, (bytes - 1) >> 8);
    out(0x0a, 2);
  }
  uint8_t byte_at(uint64_t address) {
    uint8_t value = 0;
    EXPECT_TRUE(memory->read(address, &value, 1));
    return value;
  }
  static constexpr uint64_t sector(unsigned cylinder, unsigned head, unsigned number) {
    return ((uint64_t{cylinder} * 2 + head) * 18 + number - 1) * 512;
  }

  std::unique_ptr<memory::GuestMemory> memory = *memory::GuestMemory::create(0x100000);
  memory::IoBus ports;
  ThreadedLine irq;
  DmaController dma{*memory};
  MemoryMedium medium{1440 * 1024};
  std::optional<Floppy> floppy;
};

TEST_F(FloppyTest, TellsItsVersionAndThatItIsNotANewerOne) {
  EXPECT_EQ(run({0x10}), std::vector<uint8_t>{0x90});
  EXPECT_EQ(run({0x18}), std::vector<uint8_t>{0x80}) << "PART ID is of the 82078";
  EXPECT_EQ(run({0x0e}).size(), 10u);
  EXPECT_EQ(run({0x94}), std::vector<uint8_t>{0x10});
}

TEST_F(FloppyTest, ReadsOverBothHeadsUntilTheTerminalCount) {
  medium.bytes[sector(5, 0, 18)] = 0x11;
  medium.bytes[sector(5, 1, 1)] = 0x22;
  seek(5);
  program_dma(0x46, 1024);
  EXPECT_EQ(run({0xe6, 0, 5, 0, 18, 2, 18, 0x1b, 0xff}), (std::vector<uint8_t>{0, 0, 0, 5, 1, 2, 2}));
  EXPECT_EQ(byte_at(kBuffer), 0x11);
  EXPECT_EQ(byte_at(kBuffer + 512), 0x22);
  EXPECT_NE(in(0x08) & 4, 0) << "the terminal count of channel 2";
}

TEST_F(FloppyTest, Writes) {
  const uint64_t value = 0x1122334455667788;
  ASSERT_TRUE(memory->write(kBuffer, &value, 8));
  seek(79);
  program_dma(0x4a, 512);
  EXPECT_EQ(run({0xc5, 4, 79, 1, 18, 2, 18, 0x1b, 0xff})[1], 0);
  EXPECT_EQ(medium.bytes[sector(79, 1, 18)], 0x88);
}

TEST_F(FloppyTest, FormatsATrack) {
  std::fill(medium.bytes.begin(), medium.bytes.end(), uint8_t{0x55});
  for (uint8_t i = 0; i < 18; ++i) {
    const std::array<uint8_t, 4> mark = {3, 0, static_cast<uint8_t>(i + 1), 2};
    ASSERT_TRUE(memory->write(kBuffer + 4u * i, mark.data(), 4));
  }
  seek(3);
  program_dma(0x4a, 72);
  EXPECT_EQ(run({0x4d, 0, 2, 18, 0x54, 0xf6})[1], 0);
  EXPECT_EQ(medium.bytes[sector(3, 0, 1)], 0xf6);
  EXPECT_EQ(medium.bytes[sector(3, 0, 18) + 511], 0xf6);
  EXPECT_EQ(medium.bytes[sector(3, 1, 1)], 0x55);
}

TEST_F(FloppyTest, ErrorsAreInTheStatus) {
  program_dma(0x46, 512);
  EXPECT_EQ(run({0xe6, 0, 9, 0, 1, 2, 18, 0x1b, 0xff})[2], 0x10) << "the head is on cylinder 0";
  EXPECT_EQ(run({0xe6, 0, 0, 0, 19, 2, 19, 0x1b, 0xff})[1], 0x04) << "no such sector";
  EXPECT_EQ(run({0xe6, 1, 0, 0, 1, 2, 18, 0x1b, 0xff})[0], 0x41) << "no diskette";
  program_dma(0x46, 0x8000);
  EXPECT_EQ(run({0x46, 0, 0, 0, 17, 2, 18, 0x1b, 0xff}), (std::vector<uint8_t>{0x40, 0x80, 0, 1, 0, 1, 2}))
      << "the end of the track before the terminal count";
  out(0x3f7, 2);
  EXPECT_EQ(run({0x4a, 0})[1], 0x01) << "the wrong data rate finds no marks";
  out(0x3f7, 0);
  EXPECT_EQ(run({0x4a, 0}), (std::vector<uint8_t>{0, 0, 0, 0, 0, 1, 2}));
  medium.is_read_only = true;
  program_dma(0x4a, 512);
  EXPECT_EQ(run({0xc5, 0, 0, 0, 1, 2, 18, 0x1b, 0xff})[1], 0x02);
  EXPECT_NE(run({0x04, 0})[0] & 0x40, 0) << "status 3 says so, too";
  medium.result = IoStatus::kFailed;
  program_dma(0x46, 512);
  EXPECT_EQ(run({0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff})[1], 0x20);
}

TEST_F(FloppyTest, TheChangeLineIsOffOnceTheHeadHasMoved) {
  EXPECT_EQ(in(0x3f7), 0x80);
  send({0x07, 0});
  EXPECT_TRUE(irq.level);
  EXPECT_EQ(sense_interrupt(), 0x20u);
  EXPECT_FALSE(irq.level);
  EXPECT_EQ(in(0x3f7), 0);
  out(0x3f2, 0x2d);
  EXPECT_EQ(in(0x3f7), 0x80) << "the other drive is empty";
}

TEST_F(FloppyTest, AReadWaitsForItsDmaChannel) {
  medium.bytes[0] = 0x5a;
  out(0x0a, 6);
  send({0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(in(0x3f4), 0x10) << "busy";
  program_dma(0x46, 512);
  EXPECT_EQ(result()[0], 0);
  EXPECT_EQ(byte_at(kBuffer), 0x5a);
}

TEST_F(FloppyTest, TheGateKeepsInterruptsBack) {
  out(0x3f2, 0x14);
  send({0x07, 0});
  EXPECT_FALSE(irq.level);
  out(0x3f2, 0x1c);
  EXPECT_TRUE(irq.level);
}

// What no driver does.

TEST_F(FloppyTest, AResetInTheMiddleOfEverything) {
  medium.hold = true;
  program_dma(0x46, 512);
  send({0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  ASSERT_TRUE(wait_until([&] { return medium.waiting == 1; }));
  std::thread releaser([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    medium.hold = false;
  });
  out(0x3f2, 0);
  EXPECT_EQ(in(0x3f4), 0);
  out(0x3f5, 0x10);
  out(0x3f2, 0x1c);
  EXPECT_EQ(sense_interrupt(), 0xc0u);
  releaser.join();
  send({0xe6, 0, 0});
  out(0x3f4, 0x80);
  EXPECT_EQ(in(0x3f4), 0x80) << "half a command is forgotten";
}

TEST_F(FloppyTest, DmaOutsideMemoryTouchesNothing) {
  program_dma(0x46, 512, 0xfff000);
  EXPECT_EQ(run({0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff})[0], 0);
  program_dma(0x4a, 512, 0xfff000);
  run({0xc5, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  EXPECT_EQ(medium.bytes[0], 0xff) << "what nobody drives";
}

TEST_F(FloppyTest, ResultsAreReadOnlyWhenThereAreSome) {
  EXPECT_EQ(in(0x3f5), 0xff);
  EXPECT_EQ(run({0x08})[0], 0x80) << "no interrupt to tell of";
}

TEST_F(FloppyTest, StateIsSavedAndLoaded) {
  seek(7);
  send({0x0f, 0});
  StateWriter writer;
  floppy->save(writer);
  floppy->reset();
  StateReader reader(writer.bytes());
  floppy->load(reader);
  ASSERT_FALSE(reader.failed());
  out(0x3f5, 8);
  EXPECT_EQ(run({0x08}), (std::vector<uint8_t>{0x20, 8}));
}

TEST(DmaControllerTest, CountsReloadsAndCountsDown) {
  auto memory = *memory::GuestMemory::create(0x100000);
  ASSERT_TRUE(memory->add_region(0, 0x100000, memory::RegionKind::kRam));
  DmaController dma(*memory);
  memory::IoHandler& ports = dma.first_ports();
  const auto write = [&ports](uint64_t port, uint64_t value) { ports.io_write(port, 1, value); };
  write(0x0c, 0);
  write(0x04, 0x03);
  write(0x04, 0x20);
  write(0x05, 3);
  write(0x05, 0);
  write(0x0b, 0x76);  // to memory, downwards, reloading, channel 2
  EXPECT_EQ(dma.to_memory(2, std::array<uint8_t, 4>{1, 2, 3, 4}).bytes, 0u) << "masked";
  write(0x0a, 2);
  const DmaController::Moved moved = dma.to_memory(2, std::array<uint8_t, 6>{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(moved.bytes, 4u);
  EXPECT_TRUE(moved.terminal);
  uint32_t stored = 0;
  ASSERT_TRUE(memory->read(0x2000, &stored, 4));
  EXPECT_EQ(stored, 0x01020304u);
  EXPECT_TRUE(dma.open(2)) << "it has been reloaded";
  write(0x0c, 0);
  EXPECT_EQ(ports.io_read(0x04, 1), 3u);
  EXPECT_EQ(ports.io_read(0x04, 1), 0x20u);
}

TEST(FloppyFormats, AreTheirSizes) {
  EXPECT_EQ(floppy_format(1440 * 1024)->sectors, 18);
  EXPECT_EQ(floppy_format(720 * 1024)->rate, 2);
  EXPECT_EQ(floppy_format(1200 * 1024)->drive, 2);
  EXPECT_EQ(floppy_format(2880 * 1024)->rate, 3);
  EXPECT_FALSE(floppy_format(1 << 20));
}

}  // namespace
}  // namespace eidolon::device::storage
