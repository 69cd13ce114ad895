// The PAM registers of the host bridge, through its configuration space as firmware writes them.
#include "device/pci/pam.h"

#include "pci/fixture.h"

namespace eidolon::device::pci {
namespace {

class PamTest : public testing::Test {
 protected:
  static constexpr unsigned kPam0 = 0x90;
  static constexpr uint64_t kRom = 0x40000, kRomBase = 0xfffc0000;

  PamTest() {
    EXPECT_TRUE(memory->add_region(kRomBase, kRom, memory::RegionKind::kRom));
    uint8_t* rom = memory->host(kRomBase, kRom);
    for (uint64_t i = 0; i < kRom; ++i) rom[i] = static_cast<uint8_t>(i >> 12);
    EXPECT_TRUE(pam.attach(rom + kRom, kRom));
    bridge.connect(pam);
    root.add(0, 0, bridge);
    memory->set_map_observer([this] { ++changes; });
  }
  void set(unsigned index, uint8_t value) { root.config_write(0, 0, kPam0 + index, 1, value); }
  std::optional<uint8_t> at(uint64_t address) {
    uint8_t value = 0;
    return memory->read(address, &value, 1) ? std::optional(value) : std::nullopt;
  }
  void store(uint64_t address, uint8_t value) { (void)memory->write(address, &value, 1); }

  std::unique_ptr<memory::GuestMemory> memory = *memory::GuestMemory::create(1 << 20);
  interrupt::ApicBus apics;
  interrupt::IoApic io_apic{apics};
  interrupt::IrqRouter irqs{nullptr, &io_apic};
  Root root{*memory, apics, irqs};
  unsigned changes = 0;
  Pam pam{*memory};
  HostBridge bridge{root};
};

TEST_F(PamTest, TheRomIsShownAtFirst) {
  EXPECT_EQ(at(0xfffff), 0x3f);
  EXPECT_EQ(at(0xf0000), 0x30);
  EXPECT_EQ(at(0xe0000), 0x20) << "its last 128 KiB";
  EXPECT_EQ(at(0xdffff), 0) << "below it, RAM";
  EXPECT_EQ(changes, 0u);
  store(0xf0000, 0x99);
  EXPECT_EQ(at(0xf0000), 0x30);
}

TEST_F(PamTest, RamTakesTheRomsPlace) {
  set(0, 0x30);
  EXPECT_EQ(changes, 1u);
  EXPECT_EQ(at(0xf0000), 0);
  store(0xf0000, 0x99);
  EXPECT_EQ(at(0xf0000), 0x99);
  EXPECT_EQ(at(0xe0000), 0x20) << "another segment";
  set(0, 0x10);
  store(0xf0000, 0x55);
  EXPECT_EQ(at(0xf0000), 0x99) << "locked";
  set(0, 0x00);
  EXPECT_EQ(at(0xf0000), 0x30);
}

TEST_F(PamTest, TranslationsOfWhatWasShownAreDropped) {
  struct Observer final : memory::CodeObserver {
    void code_written(memory::GuestPhysical address, uint64_t length) override { told = {address, length}; }
    std::pair<uint64_t, uint64_t> told;
  } observer;
  memory->set_code_observer(&observer);
  memory->mark_code(0xf2000);
  set(0, 0x30);
  memory->settle_foreign_writes();
  EXPECT_EQ(observer.told, (std::pair<uint64_t, uint64_t>(0xf2000, 0x1000)));
}

TEST_F(PamTest, EachHalfIsASegmentOf16KiB) {
  for (unsigned index = 1; index <= 6; ++index) {
    const uint64_t base = 0xc0000 + (index - 1) * 0x8000;
    set(index, 0x03);
    store(base, static_cast<uint8_t>(index));
    store(base + 0x4000, 0x77);
    EXPECT_EQ(at(base), index);
    EXPECT_NE(at(base + 0x4000), 0x77);
    set(index, 0x33);
    EXPECT_EQ(at(base + 0x4000), 0) << "its RAM was not written";
    store(base + 0x7fff, 0x78);
    EXPECT_EQ(at(base + 0x7fff), 0x78);
  }
}

TEST_F(PamTest, ALoadedSnapshotShowsWhatItShowed) {
  set(0, 0x30);
  store(0xf0000, 0x99);
  StateWriter writer;
  bridge.save(writer);
  bridge.reset();
  EXPECT_EQ(at(0xf0000), 0x30);
  StateReader reader(writer.bytes());
  bridge.load(reader);
  EXPECT_EQ(at(0xf0000), 0x99);
}

class LpcTest : public PciTest {};

TEST_F(LpcTest, PowerManagementIsWhereItsRegisterSays) {
  struct Recorder final : memory::IoHandler {
    uint64_t io_read(uint64_t offset, unsigned) override { return 0x40 + offset; }
    void io_write(uint64_t, unsigned, uint64_t) override {}
  } pm;
  Root other(*memory, apics, irqs);
  Lpc other_lpc(other, &pm);
  other.add(Lpc::kDevice, 0, other_lpc);
  EXPECT_EQ(other.ports().io_read(0x608, 1), 0xffu);
  other.config_write(0, Lpc::kDevice << 3, 0x40, 4, 0xb001);
  EXPECT_EQ(other.ports().io_read(0xb008, 1), 0xffu) << "not enabled";
  other.config_write(0, Lpc::kDevice << 3, 0x44, 1, 0x80);
  EXPECT_EQ(other.ports().io_read(0xb008, 1), 0x48u);
  EXPECT_EQ(other_lpc.pm_base(), 0xb000);
  other.config_write(0, Lpc::kDevice << 3, 0x40, 4, 0x0600);
  EXPECT_EQ(other.ports().io_read(0xb008, 1), 0xffu);
  EXPECT_EQ(other.ports().io_read(0x67f, 1), 0x40u + 0x7f);
  other_lpc.reset();
  EXPECT_EQ(other.ports().io_read(0x608, 1), 0xffu);
}

}  // namespace
}  // namespace eidolon::device::pci
