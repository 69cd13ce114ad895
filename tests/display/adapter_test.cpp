// The adapter on the bus of a small machine: the frame buffer as memory, and the registers in BAR 2.
#include <atomic>
#include <numeric>
#include <thread>

#include "device/display/edid.h"
#include "device/display/renderer.h"
#include "device/display/vga.h"
#include "device/display/window.h"
#include "pci/fixture.h"

namespace eidolon::device::display {
namespace {

class AdapterTest : public pci::PciTest {
 protected:
  static constexpr unsigned kVga = 2;
  static constexpr uint64_t kFrame = 0xc8000000, kRegisters = 0xca000000;

  AdapterTest() {
    root.add(kVga, 0, vga);
    write(kVga, 0x10, 4, kFrame);
    write(kVga, 0x18, 4, kRegisters);
    enable(true);
  }
  void enable(bool on) { write(kVga, pci::kCommand, 2, on ? 3 : 0); }
  void set_vbe(unsigned index, uint16_t value) { mmio.write(kRegisters + 0x500 + 2 * index, 2, value); }
  void set_mode(uint16_t width, uint16_t height, uint16_t bits) {
    set_vbe(vbe::kEnable, 0);
    set_vbe(vbe::kWidth, width);
    set_vbe(vbe::kHeight, height);
    set_vbe(vbe::kBits, bits);
    set_vbe(vbe::kEnable, vbe::kEnabled | vbe::kLinear);
  }
  /// As the processor does it.
  void poke(uint64_t offset, uint32_t value) { EXPECT_TRUE(memory->write(kFrame + offset, &value, 4)); }

  Vga vga{clock, *memory, **memory->add_window(Vga::kMemoryBytes)};
};

TEST_F(AdapterTest, TheFrameBufferIsMemoryWhereTheBarIs) {
  poke(0x1000, 0x12345678);
  EXPECT_EQ(mmio.read(kFrame + 0x1000, 4), 0x12345678u) << "its handler shows the same bytes";
  write(kVga, 0x10, 4, kFrame + 0x1000000);
  EXPECT_EQ(memory->find(kFrame), nullptr);
  EXPECT_EQ(memory->host(kFrame + 0x1001000, 4), vga.memory().data() + 0x1000);
  enable(false);
  EXPECT_EQ(memory->find(kFrame + 0x1000000), nullptr);
}

TEST_F(AdapterTest, BesideTheChipsetsRegistersItIsLeftToTheHandler) {
  poke(0, 0x55);
  write(kVga, 0x10, 4, 0xfe000000);
  EXPECT_EQ(memory->find(0xfe000000), nullptr);
  EXPECT_EQ(mmio.read(0xfe000000, 4), 0x55u);
  write(kVga, 0x10, 4, 0xff000000);
  EXPECT_EQ(memory->find(0xff000000), nullptr);
}

TEST_F(AdapterTest, WhatIsDrawnThereIsShownAndFoundToHaveChanged) {
  vga.enter_text_mode();  // it lights the screen
  vga.enter_text_mode();  // it lights the screen
  set_mode(640, 480, 32);
  Renderer renderer(vga);
  EXPECT_FALSE(renderer.refresh().empty());
  EXPECT_TRUE(renderer.refresh().empty());
  poke((100 * 640 + 50) * 4, 0x00ff8000);
  const auto damage = renderer.refresh();
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_EQ(damage[0].y, 100u);
  EXPECT_EQ(damage[0].height, 1u);
  EXPECT_EQ(renderer.surface().line(100)[50], 0xff8000u);
  EXPECT_TRUE(renderer.refresh().empty());
}

class CodeWatch final : public memory::CodeObserver {
 public:
  void code_written(memory::GuestPhysical address, uint64_t length) override {
    told.push_back({address, length});
  }
  std::vector<std::pair<uint64_t, uint64_t>> told;
};

TEST_F(AdapterTest, TranslatedCodeInItNoticesTheWindowAndTheClearing) {
  CodeWatch watch;
  memory->set_code_observer(&watch);
  vga.enter_text_mode();
  memory->settle_foreign_writes();
  watch.told.clear();
  memory->mark_code(kFrame);
  vga.window().io_write(0x18000, 2, 0x0741);
  memory->settle_foreign_writes();
  ASSERT_EQ(watch.told.size(), 2u);
  EXPECT_EQ(watch.told[0], (std::pair<uint64_t, uint64_t>(kFrame, 4)));
  set_mode(64, 64, 8);
  memory->settle_foreign_writes();
  EXPECT_EQ(watch.told.back(), (std::pair<uint64_t, uint64_t>(kFrame, 4096)));
}

TEST_F(AdapterTest, AnIndexAndItsDataAreWrittenAtOnce) {
  constexpr uint16_t kMapMask = 0x0102, kMemoryMode = 0x0e04;
  constexpr uint64_t kSequencer = 0x3c4 - Vga::kPort;
  for (const uint16_t word : {kMapMask, kMemoryMode}) vga.ports().io_write(kSequencer, 2, word);
  std::atomic<bool> stop{false};
  const auto write_again = [&](uint16_t word) {
    while (!stop) vga.ports().io_write(kSequencer, 2, word);
  };
  std::thread first(write_again, kMapMask), second(write_again, kMemoryMode);
  unsigned torn = 0;
  for (unsigned i = 0; i < 20'000; ++i) {
    const uint64_t word = vga.ports().io_read(kSequencer, 2);
    torn += word != kMapMask && word != kMemoryMode;
  }
  stop = true;
  first.join();
  second.join();
  EXPECT_EQ(torn, 0u);
}

TEST_F(AdapterTest, TheFrameBufferMovesWhileAnotherProcessorDraws) {
  std::atomic<bool> stop{false};
  std::thread drawing([&] {
    while (!stop) vga.window().io_write(0x18000, 2, 0x0741);
  });
  for (unsigned i = 0; i < 1000; ++i) write(kVga, 0x10, 4, i % 2 == 0 ? kFrame + 0x1000000 : kFrame);
  stop = true;
  drawing.join();
  EXPECT_NE(memory->find(kFrame), nullptr);
}

TEST_F(AdapterTest, TheMonitorTellsItsSizesInTheRegisterBar) {
  std::array<uint8_t, kEdidBytes> edid{};
  for (unsigned i = 0; i < kEdidBytes; ++i) edid[i] = static_cast<uint8_t>(mmio.read(kRegisters + i, 1));
  EXPECT_EQ(mmio.read(kRegisters, 8), 0x00ffffffffffff00u) << "the header";
  EXPECT_EQ(std::accumulate(edid.begin(), edid.end(), 0u) % 256, 0u) << "the checksum";
  EXPECT_EQ(edid[0x12], 1u);
  EXPECT_EQ(edid[0x13], 4u);
  // The first detailed timing: 71 MHz, 1280 dots and 160 blank ones, 800 lines and 23.
  EXPECT_EQ(edid[0x36] | edid[0x37] << 8, 7100);
  EXPECT_EQ(edid[0x38] | (edid[0x3a] & 0xf0) << 4, 1280);
  EXPECT_EQ(edid[0x39] | (edid[0x3a] & 0x0f) << 8, 160);
  EXPECT_EQ(edid[0x3b] | (edid[0x3d] & 0xf0) << 4, 800);
  EXPECT_EQ(edid[0x3c] | (edid[0x3d] & 0x0f) << 8, 23);
  EXPECT_EQ(mmio.read(kRegisters + kEdidBytes, 4), 0u) << "there is one block";
  mmio.write(kRegisters, 4, 0);
  EXPECT_EQ(mmio.read(kRegisters, 4), 0xffffff00u);
}

TEST_F(AdapterTest, TheRegisterBarHasThePortsAndTheBochsInterface) {
  mmio.write(kRegisters + 0x404, 1, 2);  // 0x3c4, 0x3c5
  mmio.write(kRegisters + 0x405, 1, 0x0f);
  EXPECT_EQ(vga.ports().io_read(0x3c5 - 0x3b0, 1), 0x0fu);
  EXPECT_EQ(mmio.read(kRegisters + 0x500, 2), vbe::kNewestId);
  EXPECT_EQ(mmio.read(kRegisters + 0x500 + 2 * vbe::kMemory64K, 2), 256u);
  EXPECT_EQ(mmio.read(kRegisters + 0x600, 4), 8u);
  EXPECT_EQ(mmio.read(kRegisters + 0x604, 4), 0x1e1e1e1eu);
}

TEST_F(AdapterTest, ASnapshotBringsItBackWithMemoryAndPlace) {
  set_mode(640, 480, 32);
  poke(0x2000, 0xabcdef);
  StateWriter writer;
  vga.save(writer);
  poke(0x2000, 0);
  enable(false);
  StateReader reader(writer.bytes());
  vga.load(reader);
  EXPECT_FALSE(reader.failed());
  uint32_t value = 0;
  EXPECT_TRUE(memory->read(kFrame + 0x2000, &value, 4));
  EXPECT_EQ(value, 0xabcdefu);
}

}  // namespace
}  // namespace eidolon::device::display
