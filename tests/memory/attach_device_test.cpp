// Devices and memory do not share addresses.
#include "memory/attach_device.h"

#include <gtest/gtest.h>

namespace eidolon::memory {
namespace {

class Device final : public IoHandler {
 public:
  uint64_t io_read(uint64_t /*offset*/, unsigned /*size*/) override { return 0x77; }
  void io_write(uint64_t /*offset*/, unsigned /*size*/, uint64_t /*value*/) override {}
};

class AttachDevice : public testing::Test {
 protected:
  static constexpr GuestPhysical kRam = 0x10000, kRamEnd = 0x20000, kRom = 0x40000, kRomEnd = 0x41000;
  AttachDevice() {
    EXPECT_TRUE(memory->add_region(kRam, kRamEnd - kRam, RegionKind::kRam));
    EXPECT_TRUE(memory->add_region(kRom, kRomEnd - kRom, RegionKind::kRom));
  }
  bool attach(GuestPhysical base, uint64_t length) {
    return attach_device(mmio, *memory, base, length, device, "device").has_value();
  }
  std::unique_ptr<GuestMemory> memory = *GuestMemory::create(1 << 20);
  IoBus mmio;
  Device device;
};

TEST_F(AttachDevice, BesideMemory) {
  EXPECT_TRUE(attach(kRam - 0x1000, 0x1000));
  EXPECT_TRUE(attach(kRamEnd, kRom - kRamEnd));
  EXPECT_TRUE(attach(kRomEnd, 4));
  EXPECT_EQ(mmio.read(kRomEnd, 1), 0x77u);
}

TEST_F(AttachDevice, NotUnderMemory) {
  EXPECT_FALSE(attach(kRam, 4)) << "at its beginning";
  EXPECT_FALSE(attach(kRamEnd - 4, 4)) << "at its end";
  EXPECT_FALSE(attach(kRam - 4, 8)) << "into it";
  EXPECT_FALSE(attach(kRamEnd - 4, 8)) << "out of it";
  EXPECT_FALSE(attach(kRam - 0x1000, kRamEnd - kRam + 0x2000)) << "around it";
  EXPECT_FALSE(attach(kRom + 0x800, 4)) << "ROM is memory too";
  EXPECT_FALSE(attach(0, ~uint64_t{0})) << "everywhere";
  EXPECT_FALSE(mmio.has_handler(kRam));
}

TEST_F(AttachDevice, NotUnderADevicesMemoryThatIsShown) {
  const Region* const window = *memory->add_window(0x1000);
  ASSERT_TRUE(memory->show_window(*window, 0x80000));
  EXPECT_FALSE(attach(0x80ff0, 4));
  memory->hide_window(*window);
  EXPECT_TRUE(attach(0x80ff0, 4));
}

TEST_F(AttachDevice, SaysWhichMemory) {
  const Result<> refused = attach_device(mmio, *memory, kRam + 8, 4, device, "flash");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "device flash at 0x10008 would be under the memory at 0x10000; give it a range of its own");
}

TEST_F(AttachDevice, NotOverAnother) {
  EXPECT_TRUE(attach(0x90000, 8));
  EXPECT_FALSE(attach(0x90004, 8));
}

}  // namespace
}  // namespace eidolon::memory
