// Expansion ROMs: the register, when the ROM answers, and what it answers.
#include "device/pci/rom.h"
#include "pci/fixture.h"

namespace eidolon::device::pci {
namespace {

class CardWithRom final : public Function {
 public:
  explicit CardWithRom(std::vector<uint8_t> rom)
      : Function("card", {.vendor = 0x1234, .device = 0x4321, .class_code = 0x030000}), rom_(std::move(rom)) {
    add_bar(0, BarKind::kRom, rom_.size(), rom_);
  }

 protected:
  void reset_device() override {}
  void save_device(StateWriter& /*to*/) const override {}
  void load_device(StateReader& /*from*/) override {}

 private:
  Rom rom_;
};

class RomTest : public PciTest {
 protected:
  static constexpr unsigned kCard = 4;
  static constexpr uint64_t kAt = 0xc8000000;

  RomTest() { root.add(kCard, 0, card); }
  /// 5000 bytes: 0x55 0xaa, and a pattern.
  static std::vector<uint8_t> image() {
    std::vector<uint8_t> bytes(5000);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7);
    bytes[0] = 0x55;
    bytes[1] = 0xaa;
    return bytes;
  }
  CardWithRom card{image()};
};

TEST_F(RomTest, TheRegisterTellsTheSizeAndKeepsTheEnableBit) {
  write(kCard, kRomBar, 4, 0xfffffffe);
  EXPECT_EQ(read(kCard, kRomBar), 0xffffe000u) << "8 KiB";
  write(kCard, kRomBar, 4, 0xffffffff);
  EXPECT_EQ(read(kCard, kRomBar), 0xffffe001u);
  EXPECT_EQ(read(kCard, 0x10), 0u) << "it is no register of the six";
}

TEST_F(RomTest, AnswersWithBothEnableBitsOnly) {
  write(kCard, kRomBar, 4, kAt | 1);
  EXPECT_EQ(mmio.read(kAt, 2), 0xffffu);
  write(kCard, kCommand, 2, kCommandMemory);
  EXPECT_EQ(mmio.read(kAt, 2), 0xaa55u);
  write(kCard, kRomBar, 4, kAt);
  EXPECT_EQ(mmio.read(kAt, 2), 0xffffu);
}

TEST_F(RomTest, ShowsTheImageAndThenOnesAndCannotBeWritten) {
  write(kCard, kCommand, 2, kCommandMemory);
  write(kCard, kRomBar, 4, kAt | 1);
  EXPECT_EQ(mmio.read(kAt + 4996, 4), (4999u * 7 & 0xff) << 24 | (4998u * 7 & 0xff) << 16 |
                                          (4997u * 7 & 0xff) << 8 | (4996u * 7 & 0xff));
  EXPECT_EQ(mmio.read(kAt + 5000, 8), ~uint64_t{0});
  EXPECT_EQ(mmio.read(kAt + 8190, 4), 0xffffffffu) << "across its end";
  EXPECT_EQ(mmio.read(kAt + 8192, 4), 0xffffffffu);
  mmio.write(kAt, 4, 0);
  EXPECT_EQ(mmio.read(kAt, 2), 0xaa55u);
}

TEST_F(RomTest, ASmallImageFillsTheLeastRom) {
  const Rom small(std::vector<uint8_t>{1, 2, 3});
  EXPECT_EQ(small.size(), 2048u);
  Rom whole(std::vector<uint8_t>(4096, 9));
  EXPECT_EQ(whole.size(), 4096u);
  EXPECT_EQ(whole.io_read(4088, 8), 0x0909090909090909u);
}

}  // namespace
}  // namespace eidolon::device::pci
