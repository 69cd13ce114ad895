// The disk without a controller: what it makes of a task.
#include "device/storage/ata_disk.h"

#include <gtest/gtest.h>

#include <numeric>

#include "storage/memory_medium.h"

namespace eidolon::device::storage::ata {
namespace {

constexpr uint64_t kSectors = 4096;

class AtaDisk : public testing::Test {
 protected:
  Command begin(const TaskFile& task) { return disk.begin(task); }
  /// The command as a whole, with `data` to write or read into.
  Command run(const TaskFile& task, std::vector<uint8_t>& data) {
    Command command = disk.begin(task);
    if (command.data != Data::kNone) {
      data.resize(command.length);
      const iovec part = {data.data(), data.size()};
      disk.move(command, 0, {&part, 1});
    }
    disk.complete(command);
    disk.end(command);
    return command;
  }
  uint16_t identity(unsigned word) {
    std::vector<uint8_t> page;
    run({.command = kIdentify}, page);
    return static_cast<uint16_t>(page[2 * word] | page[2 * word + 1] << 8);
  }

  MemoryMedium medium{kSectors * 512};
  Disk disk{medium, "serial", BusKind::kSerial};
  std::vector<uint8_t> none;
};

TEST_F(AtaDisk, IdentifySaysWhatItIs) {
  std::vector<uint8_t> page;
  const Command command = run({.command = kIdentify}, page);
  ASSERT_EQ(page.size(), 512u);
  EXPECT_EQ(command.status, kIdle);
  EXPECT_FALSE(command.dma);
  EXPECT_EQ(std::string(page.begin() + 20, page.begin() + 26), "esirla") << "two characters a word, swapped";
  EXPECT_EQ(identity(60) | identity(61) << 16, static_cast<int>(kSectors));
  EXPECT_EQ(identity(100), kSectors);
  EXPECT_NE(identity(83) & 1 << 10, 0) << "48-bit addresses";
  EXPECT_NE(identity(76) & 1 << 8, 0) << "NCQ";
  EXPECT_EQ(std::accumulate(page.begin(), page.end(), 0u) & 0xff, 0u) << "the checksum";
}

TEST_F(AtaDisk, ShortLongAndGeometricAddressesFindTheSameSector) {
  medium.bytes[1000 * 512] = 0x5a;
  std::vector<uint8_t> data;
  EXPECT_EQ(run({.command = kReadDma, .device = kLbaMode, .count = 1, .lba = 1000}, data).status, kIdle);
  EXPECT_EQ(data[0], 0x5a);
  run({.command = kReadDmaExt, .device = kLbaMode, .count = 1, .lba = 1000}, data);
  EXPECT_EQ(data[0], 0x5a);
  // 1000 = cylinder 0, head 15, sector 56 of 16 heads and 63 sectors.
  run({.command = kReadDma, .device = 15, .count = 1, .lba = 56}, data);
  EXPECT_EQ(data[0], 0x5a);
  // With 2 heads and 10 sectors: cylinder 50, head 0, sector 1.
  EXPECT_EQ(run({.command = kInitializeParameters, .device = 1, .count = 10}, none).status, kIdle);
  run({.command = kReadDma, .device = 0, .count = 1, .lba = 50 << 8 | 1}, data);
  EXPECT_EQ(data[0], 0x5a);
}

TEST_F(AtaDisk, ACountOfZeroIsTheMost) {
  EXPECT_EQ(begin({.command = kReadSectors, .device = kLbaMode}).length, 256u * 512);
  MemoryMedium large(65536 * 512);
  Disk other(large, "x", BusKind::kSerial);
  EXPECT_EQ(other.begin({.command = kReadDmaExt, .device = kLbaMode}).length, 65536u * 512);
  EXPECT_EQ(other.begin({.command = kReadFpdma, .device = kLbaMode}).length, 65536u * 512);
}

TEST_F(AtaDisk, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(begin({.command = kReadDma, .device = kLbaMode, .count = 2, .lba = kSectors - 1}).error,
            kIdNotFound);
  EXPECT_EQ(begin({.command = kReadDmaExt, .count = 1, .lba = 0xffff'ffff'ffff}).error, kIdNotFound);
  EXPECT_EQ(begin({.command = kReadFpdma, .features = 1, .lba = kSectors}).error, kIdNotFound);
  EXPECT_TRUE(begin({.command = kReadSectors, .device = 0, .count = 1, .lba = 0}).failed()) << "sector 0";
  EXPECT_TRUE(begin({.command = kReadSectors, .device = 0, .count = 1, .lba = 64}).failed());
  EXPECT_EQ(begin({.command = 0xff}).error, kAborted);
  EXPECT_EQ(begin({.command = kPacket}).error, kAborted);
}

TEST_F(AtaDisk, WritesAreKeptBackByTheCacheOnlyAsLongAsItIsOn) {
  std::vector<uint8_t> data;
  run({.command = kWriteDmaExt, .count = 1, .lba = 3}, data);
  EXPECT_EQ(medium.flushes, 0u);
  run({.command = kFlushExt}, none);
  EXPECT_EQ(medium.flushes, 1u);
  run({.command = kWriteDmaFuaExt, .count = 1, .lba = 3}, data);
  EXPECT_EQ(medium.flushes, 2u);
  run({.command = kWriteFpdma, .device = kForcedUnitAccess, .features = 1, .lba = 3}, data);
  EXPECT_EQ(medium.flushes, 3u);
  run({.command = kSetFeatures, .features = 0x82}, none);
  EXPECT_EQ(medium.flushes, 4u);
  EXPECT_EQ(identity(85) & 1 << 5, 0);
  run({.command = kWriteDmaExt, .count = 1, .lba = 3}, data);
  EXPECT_EQ(medium.flushes, 5u);
}

TEST_F(AtaDisk, FailuresOfTheMediumAreErrors) {
  std::vector<uint8_t> data;
  medium.result = IoStatus::kFailed;
  EXPECT_EQ(run({.command = kReadDmaExt, .count = 1}, data).error, kUncorrectable);
  const Command wrote = run({.command = kWriteDmaExt, .count = 1}, data);
  EXPECT_NE(wrote.status & kWriteFault, 0);
  EXPECT_TRUE(run({.command = kFlush}, none).failed());
  EXPECT_TRUE(run({.command = kReadVerifyExt, .count = 1}, none).failed());
}

TEST_F(AtaDisk, AReadOnlyMediumIsNotWritten) {
  medium.is_read_only = true;
  EXPECT_NE(begin({.command = kWriteDmaExt, .count = 1}).status & kWriteFault, 0);
  EXPECT_TRUE(begin({.command = kDataSetManagement, .features = 1, .count = 1}).failed());
}

TEST_F(AtaDisk, TrimDiscardsRanges) {
  std::vector<uint8_t> data(512);
  data[0] = 0x10;
  data[6] = 8;
  EXPECT_EQ(run({.command = kDataSetManagement, .features = 1, .count = 1}, data).status, kIdle);
  EXPECT_EQ(medium.discarded, (std::pair<uint64_t, uint64_t>(0x10 * 512, 8 * 512)));
  data[5] = 0xff;
  EXPECT_TRUE(run({.command = kDataSetManagement, .features = 1, .count = 1}, data).failed());
}

TEST_F(AtaDisk, TheLogRemembersAFailedQueuedCommand) {
  std::vector<uint8_t> data;
  medium.result = IoStatus::kFailed;
  run({.command = kReadFpdma, .features = 1, .count = 5 << 3, .lba = 0x12}, data);
  medium.result = IoStatus::kDone;
  const Command log = run({.command = kReadLogExt, .count = 1, .lba = 0x10}, data);
  EXPECT_EQ(log.status, kIdle);
  EXPECT_EQ(data[0], 5);
  EXPECT_EQ(data[3], kUncorrectable);
  EXPECT_EQ(data[4], 0x12);
  run({.command = kReadLogExt, .count = 1, .lba = 0x10}, data);
  EXPECT_EQ(data[0], 0x80) << "it is told once";
}

TEST_F(AtaDisk, SmartIsWell) {
  const Command status = run({.command = kSmart, .features = 0xda, .lba = 0xc24f00}, none);
  EXPECT_EQ(status.status, kIdle);
  EXPECT_EQ(status.task.lba, 0xc24f00u);
  EXPECT_TRUE(begin({.command = kSmart, .features = 0xda}).failed()) << "without the key";
  run({.command = kSmart, .features = 0xd9, .lba = 0xc24f00}, none);
  EXPECT_TRUE(begin({.command = kSmart, .features = 0xda, .lba = 0xc24f00}).failed()) << "switched off";
}

TEST_F(AtaDisk, MultipleSectorsAreAPowerOfTwo) {
  EXPECT_TRUE(run({.command = kSetMultiple, .count = 3}, none).failed());
  EXPECT_TRUE(run({.command = kSetMultiple, .count = 32}, none).failed());
  EXPECT_EQ(run({.command = kSetMultiple, .count = 8}, none).status, kIdle);
  EXPECT_EQ(begin({.command = kReadMultiple, .device = kLbaMode, .count = 16}).block, 8u * 512);
  run({.command = kSetMultiple, .count = 0}, none);
  EXPECT_TRUE(begin({.command = kReadMultiple, .device = kLbaMode, .count = 16}).failed());
}

TEST_F(AtaDisk, AParallelDiskHasNoQueue) {
  Disk parallel(medium, "x", BusKind::kParallel);
  EXPECT_EQ(parallel.begin({.command = kReadFpdma, .features = 1}).error, kAborted);
}

TEST_F(AtaDisk, StateIsSavedAndLoaded) {
  run({.command = kSetMultiple, .count = 4}, none);
  run({.command = kSetFeatures, .features = 0x82}, none);
  StateWriter writer;
  writer.begin("disk", 1);
  disk.save(writer);
  writer.end();
  Disk other(medium, "serial", BusKind::kSerial);
  StateReader reader(writer.bytes());
  reader.begin("disk");
  other.load(reader);
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(other.begin({.command = kReadMultiple, .device = kLbaMode, .count = 16}).block, 4u * 512);
  EXPECT_EQ(other.begin({.command = kWriteDmaExt, .count = 1}).work, Work::kFlush);
}

}  // namespace
}  // namespace eidolon::device::storage::ata
