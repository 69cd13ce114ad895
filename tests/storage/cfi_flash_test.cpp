#include "device/storage/cfi_flash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

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
  EXPECT_EQ(at(0), 0);
  write(0, 0xff);
  EXPECT_EQ(at(0), 0);
}

// What OVMF does to find out whether there is a flash (QemuFlashDetected): at a byte that is none of the
// values it looks for, RAM would keep what is written, ROM what it had, and QEMU's chip shows a status of 0.
TEST_F(CfiFlashTest, AnswersTheProbeOfOvmf) {
  medium.bytes[0x10] = 0x8d;
  flash = *CfiFlash::create(medium);
  write(0x10, 0x50);
  EXPECT_NE(at(0x10), 0x50) << "as RAM";
  write(0x10, 0x70);
  EXPECT_EQ(at(0x10), 0);
  write(0x10, 0xff);
  EXPECT_EQ(at(0x10), 0x8d);
}

// Also after a reset of a machine whose firmware has written before.
TEST_F(CfiFlashTest, AnswersTheProbeOfOvmfAgain) {
  program(0x10, 0x8d);
  flash->reset();
  write(0x10, 0x70);
  EXPECT_EQ(at(0x10), 0x80) << "ready, as it comes out of a reset";
  write(0x10, 0x50);
  write(0x10, 0x70);
  EXPECT_EQ(at(0x10), 0);
  program(0x11, 0);
  EXPECT_EQ(at(0x11), 0x80) << "done";
}

TEST_F(CfiFlashTest, ProgramsABufferAtOnce) {
  write(0x1010, 0x50);
  write(0x1010, 0xe8);
  EXPECT_EQ(at(0x1010), 0x80) << "the buffer is free";
  write(0x1010, 3);
  write(0x1012, 0x12);
  write(0x1015, 0x15);
  write(0x1013, 0x13);
  write(0x1014, 0x14);
  EXPECT_EQ(medium.bytes[0x1012], 0xff) << "not before it is confirmed";
  write(0x1010, 0xd0);
  EXPECT_EQ(at(0x1010), 0x80);
  write(0, 0xff);
  EXPECT_EQ(flash->io_read(0x1010, 8), 0xffff'1514'1312'ffffu);
  EXPECT_EQ(medium.bytes[0x1015], 0x15);
}

TEST_F(CfiFlashTest, FillsItsWholeBuffer) {
  write(0x20, 0xe8);
  write(0x20, 31);
  for (unsigned i = 0; i < 32; ++i) write(0xfe0 + i, static_cast<uint8_t>(i));
  write(0x20, 0xd0);
  EXPECT_EQ(at(0), 0x80);
  EXPECT_EQ(medium.bytes[0xfff], 31);
}

TEST_F(CfiFlashTest, ABufferThatIsNotConfirmedIsThrownAway) {
  write(0, 0xe8);
  write(0, 0);
  write(0, 0x12);
  write(0, 0xff);
  EXPECT_EQ(at(0), 0x80 | 0x30);
  write(0, 0xff);
  EXPECT_EQ(at(0), 0xff);
}

TEST_F(CfiFlashTest, ABufferHasNoMoreThan32Bytes) {
  write(0, 0xe8);
  write(0, 32);
  EXPECT_EQ(at(0), 0x80 | 0x30);
}

TEST_F(CfiFlashTest, ABufferStaysWhereItBegins) {
  write(0, 0xe8);
  write(0, 3);
  write(0x100, 0);
  write(0x104, 0);
  EXPECT_EQ(at(0), 0x80 | 0x30) << "behind its end";
  write(0, 0x50);
  write(0, 0xe8);
  write(0, 3);
  write(0x100, 0);
  write(0xff, 0);
  EXPECT_EQ(at(0), 0x80 | 0x30) << "before its beginning";
}

TEST_F(CfiFlashTest, ABufferStaysInABlock) {
  write(0, 0xe8);
  write(0, 31);
  write(kSize - 31, 0);
  EXPECT_EQ(at(0), 0x80 | 0x30);
  write(0, 0xff);
  EXPECT_EQ(at(kSize - 31), 0xff);
}

TEST_F(CfiFlashTest, SaysItsSizeAndBlocks) {
  write(0x55, 0x98);
  EXPECT_EQ(at(0x10), 'Q');
  EXPECT_EQ(at(0x11), 'R');
  EXPECT_EQ(at(0x12), 'Y');
  EXPECT_EQ(at(0x13), 1) << "Intel's commands";
  EXPECT_EQ(1u << at(0x27), 0x100000u) << "the next power of two";
  EXPECT_EQ(at(0x2d) | at(0x2e) << 8, 0x84 - 1);
  EXPECT_EQ(1u << at(0x2a), 32u) << "the buffer";
  EXPECT_NE(at(0x20), 0) << "or Linux does not use it";
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
  write(7, 0xe8);
  write(7, 0);
  write(7, 0);
  write(7, 0xd0);
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

TEST_F(CfiFlashTest, StateIsTheBufferToo) {
  write(0, 0xe8);
  write(0, 1);
  write(0x33, 0x12);
  StateWriter writer;
  flash->save(writer);
  flash->reset();
  StateReader reader(writer.bytes());
  flash->load(reader);
  write(0x34, 0x34);
  write(0, 0xd0);
  write(0, 0xff);
  EXPECT_EQ(flash->io_read(0x33, 2), 0x3412u);
}

TEST_F(CfiFlashTest, LoadsAStateFromBeforeThereWasABuffer) {
  StateWriter writer;
  writer.begin("cfi-flash", 1);
  writer(uint8_t{1}, uint8_t{0x20});
  writer.end();
  StateReader reader(writer.bytes());
  flash->load(reader);
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(at(0), 0xa0);
}

class ImpossibleState : public CfiFlashTest {
 protected:
  void load(uint8_t mode, uint64_t start, uint8_t count, uint8_t taken) {
    StateWriter writer;
    writer.begin("cfi-flash", 2);
    writer(mode, uint8_t{0x80}, start, count, taken, std::array<uint8_t, 32>{});
    writer.end();
    StateReader reader(writer.bytes());
    flash->load(reader);
  }
  static constexpr uint8_t kData = 8, kConfirm = 9;
};

TEST_F(ImpossibleState, IsNotTaken) {
  load(kConfirm, kSize, 1, 1);
  EXPECT_EQ(at(0), 0xff) << "behind the end";
  load(kConfirm, kSize - 1, 2, 2);
  EXPECT_EQ(at(0), 0xff) << "over the end";
  load(kConfirm, 0, 33, 33);
  EXPECT_EQ(at(0), 0xff) << "more than the buffer";
  load(kData, 0, 33, 1);
  EXPECT_EQ(at(0), 0xff) << "more than the buffer";
  load(kData, 0, 2, 2);
  EXPECT_EQ(at(0), 0xff) << "no byte is missing";
  load(10, 0, 1, 1);
  EXPECT_EQ(at(0), 0xff) << "no mode";
  load(kConfirm, kSize - 1, 1, 1);
  EXPECT_EQ(at(0), 0x80);
  write(0, 0xd0);
  EXPECT_EQ(medium.bytes[kSize - 1], 0);
}

}  // namespace
}  // namespace eidolon::device
