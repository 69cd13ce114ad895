#include "device/storage/cfi_flash.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace eidolon::device {
namespace {

using storage::IoStatus;

class MemoryMedium final : public storage::Medium {
 public:
  explicit MemoryMedium(size_t size) : bytes(size, 0xff) {}
  [[nodiscard]] uint64_t size() const override { return bytes.size(); }
  [[nodiscard]] bool read_only() const override { return false; }
  [[nodiscard]] IoStatus read(uint64_t offset, std::span<const iovec> into) override {
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), into[0].iov_len,
                static_cast<uint8_t*>(into[0].iov_base));
    return IoStatus::kDone;
  }
  [[nodiscard]] IoStatus write(uint64_t offset, std::span<const iovec> from) override {
    EXPECT_EQ((offset | from[0].iov_len) % 512, 0u);
    if (full) return IoStatus::kNoSpace;
    std::copy_n(static_cast<const uint8_t*>(from[0].iov_base), from[0].iov_len,
                bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    return IoStatus::kDone;
  }
  [[nodiscard]] IoStatus flush() override { return IoStatus::kDone; }
  [[nodiscard]] IoStatus discard(uint64_t, uint64_t) override { return IoStatus::kDone; }
  [[nodiscard]] IoStatus write_zeroes(uint64_t, uint64_t, bool) override { return IoStatus::kDone; }
  std::vector<uint8_t> bytes;
  bool full = false;
};

class CfiFlashTest : public testing::Test {
 protected:
  static constexpr uint64_t kSize = 0x84000;
  uint8_t at(uint64_t offset) { return static_cast<uint8_t>(flash->io_read(offset, 1)); }
  void write(uint64_t offset, uint8_t value) { flash->io_write(offset, 1, value); }
  void program(uint64_t offset, uint8_t value) {
    write(offset, 0x10);
    write(offset, value);
  }
  void erase(uint64_t offset) {
    write(offset, 0x20);
    write(offset, 0xd0);
  }
  MemoryMedium medium{kSize};
  std::unique_ptr<CfiFlash> flash = *CfiFlash::create(medium);
};

TEST_F(CfiFlashTest, ReadsAsMemory) {
  medium.bytes[5] = 0x12;
  medium.bytes[6] = 0x34;
  auto other = *CfiFlash::create(medium);
  EXPECT_EQ(other->io_read(5, 2), 0x3412u);
  EXPECT_EQ(other->io_read(kSize - 8, 8), ~uint64_t{0});
}

TEST_F(CfiFlashTest, ProgrammingClearsBitsAndIsKept) {
  program(0x1003, 0x5a);
  EXPECT_EQ(at(0x1003), 0x80) << "the status";
  write(0x1003, 0xff);
  EXPECT_EQ(at(0x1003), 0x5a);
  EXPECT_EQ(medium.bytes[0x1003], 0x5a) << "on the medium at once";
  program(0x1003, 0xf0);
  write(0, 0xff);
  EXPECT_EQ(at(0x1003), 0x50);
}

TEST_F(CfiFlashTest, ErasingSetsABlockToOnes) {
  program(0x1fff, 0);
  program(0x2000, 0);
  program(0x2fff, 0);
  program(0x3000, 0);
  erase(0x2345);
  write(0, 0xff);
  EXPECT_EQ(at(0x1fff), 0);
  EXPECT_EQ(at(0x2000), 0xff);
  EXPECT_EQ(at(0x2fff), 0xff);
  EXPECT_EQ(at(0x3000), 0);
  EXPECT_EQ(medium.bytes[0x2fff], 0xff);
}

TEST_F(CfiFlashTest, EraseWithoutConfirmationIsAnErrorUntilItIsCleared) {
  program(0, 0);
  write(0, 0x20);
  write(0, 0xff);
  EXPECT_EQ(at(0), 0x80 | 0x30);
  write(0, 0x50);
  EXPECT_EQ(at(0), 0x80);
  write(0, 0xff);
  EXPECT_EQ(at(0), 0);
}

// What OVMF does to find out whether there is a flash: RAM would keep the byte, ROM its old one.
TEST_F(CfiFlashTest, AnswersTheProbeOfOvmf) {
  write(0x10, 0x50);
  EXPECT_NE(at(0x10), 0x50);
  write(0x10, 0x70);
  EXPECT_EQ(at(0x10), 0x80);
  write(0x10, 0xff);
  EXPECT_EQ(at(0x10), 0xff);
}

TEST_F(CfiFlashTest, SaysItsSizeAndBlocks) {
  write(0x55, 0x98);
  EXPECT_EQ(at(0x10), 'Q');
  EXPECT_EQ(at(0x11), 'R');
  EXPECT_EQ(at(0x12), 'Y');
  EXPECT_EQ(at(0x13), 1) << "Intel's commands";
  EXPECT_EQ(1u << at(0x27), 0x100000u) << "the next power of two";
  EXPECT_EQ(at(0x2d) | at(0x2e) << 8, 0x84 - 1);
  EXPECT_EQ((at(0x2f) | at(0x30) << 8) * 256, 4096);
  EXPECT_EQ(at(at(0x15)), 'P');
  write(0, 0x90);
  EXPECT_EQ(at(0), 0x89);
}

TEST_F(CfiFlashTest, AFullHostDiskIsAnErrorAndChangesNothing) {
  program(7, 0x77);
  medium.full = true;
  program(7, 0);
  EXPECT_EQ(at(7), 0x80 | 0x10);
  write(0, 0x50);
  erase(7);
  EXPECT_EQ(at(7), 0x80 | 0x20);
  write(0, 0xff);
  EXPECT_EQ(at(7), 0x77);
  EXPECT_EQ(medium.bytes[7], 0x77);
}

TEST_F(CfiFlashTest, RefusesWhatIsNoChip) {
  MemoryMedium odd(0x1200), empty(0);
  EXPECT_FALSE(CfiFlash::create(odd));
  EXPECT_FALSE(CfiFlash::create(empty));
}

TEST_F(CfiFlashTest, StateIsTheMode) {
  write(0, 0x20);
  write(0, 0);
  StateWriter writer;
  flash->save(writer);
  flash->reset();
  EXPECT_EQ(at(0), 0xff);
  StateReader reader(writer.bytes());
  flash->load(reader);
  EXPECT_EQ(at(0), 0xb0);
}

}  // namespace
}  // namespace eidolon::device
