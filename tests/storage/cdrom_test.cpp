// The CD-ROM drive without a controller: packets and sense data.
#include "device/storage/ata_cdrom.h"

#include <gtest/gtest.h>

#include "device/storage/big_endian.h"
#include "device/storage/scsi_operations.h"
#include "storage/memory_medium.h"

namespace eidolon::device::storage::ata {

using namespace scsi;

namespace {

constexpr uint64_t kBlocks = 300;

class CdromTest : public testing::Test {
 protected:
  CdromTest() { sense(); }  // the unit attention of power-on
  Command run(const Drive::Cdb& cdb, std::vector<uint8_t>* data = nullptr) {
    Command command = drive.begin({.command = kPacket});
    command = drive.begin_packet(command, cdb);
    std::vector<uint8_t> bytes(command.length);
    const iovec part = {bytes.data(), bytes.size()};
    if (command.data != Data::kNone) drive.move(command, 0, {&part, 1});
    drive.complete(command);
    drive.end(command);
    if (data != nullptr) *data = bytes;
    return command;
  }
  std::vector<uint8_t> answer(const Drive::Cdb& cdb) {
    std::vector<uint8_t> data;
    EXPECT_FALSE(run(cdb, &data).failed());
    return data;
  }
  /// Key, code and qualifier in one number.
  uint32_t sense() {
    const std::vector<uint8_t> data = answer({kRequestSense, 0, 0, 0, 18});
    return data.size() < 14 ? ~0u : uint32_t{data[2]} << 16 | uint32_t{data[12]} << 8 | data[13];
  }
  uint32_t sense_of(const Drive::Cdb& cdb) {
    const Command command = run(cdb);
    EXPECT_TRUE(command.failed());
    const uint32_t told = sense();
    EXPECT_EQ(command.error >> 4, static_cast<int>(told >> 16)) << "the key is in the error register, too";
    return told;
  }

  MemoryMedium disc{kBlocks * 2048};
  Cdrom drive{&disc, "serial", BusKind::kSerial};
};

TEST_F(CdromTest, TheFirstCommandAfterAResetIsToldOfIt) {
  drive.reset(false);
  EXPECT_EQ(answer({kInquiry, 0, 0, 0, 36})[0], 5) << "but INQUIRY is not";
  EXPECT_EQ(sense_of({kTestUnitReady}), 0x062900u);
  EXPECT_FALSE(run({kTestUnitReady}).failed());
  EXPECT_EQ(sense(), 0u);
}

TEST_F(CdromTest, TellsItsCapacityAndReads) {
  const std::vector<uint8_t> capacity = answer({kReadCapacity});
  EXPECT_EQ(get_big(std::span(capacity).first(4)), kBlocks - 1);
  EXPECT_EQ(get_big(std::span(capacity).last(4)), 2048u);
  disc.bytes[299 * 2048 + 1] = 0x5a;
  EXPECT_EQ(answer({kRead10, 0, 0, 0, 1, 43, 0, 0, 1})[1], 0x5a);
  EXPECT_EQ(answer({kRead12, 0, 0, 0, 1, 43, 0, 0, 0, 1})[1], 0x5a);
  EXPECT_EQ(answer({kReadCd, 0, 0, 0, 1, 43, 0, 0, 1, 0x10})[1], 0x5a);
  EXPECT_TRUE(answer({kRead10, 0, 0, 0, 0, 0, 0, 0, 0}).empty()) << "none";
}

TEST_F(CdromTest, WhatIsWrongIsSaidInTheSense) {
  EXPECT_EQ(sense_of({kRead10, 0, 0, 0, 1, 43, 0, 0, 2}), 0x052100u) << "out of range";
  EXPECT_EQ(sense_of({kRead12, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), 0x052100u);
  EXPECT_EQ(sense_of({0xff}), 0x052000u) << "no such operation";
  EXPECT_EQ(sense_of({kReadCd, 0, 0, 0, 0, 0, 0, 0, 1, 0xf8}), 0x052400u) << "raw sectors";
  EXPECT_EQ(sense_of({kModeSense10, 0, 0x05, 0, 0, 0, 0, 0, 64}), 0x052400u) << "a page that is not there";
  disc.result = IoStatus::kFailed;
  EXPECT_EQ(sense_of({kRead10, 0, 0, 0, 0, 0, 0, 0, 1}), 0x031100u) << "the host could not";
  EXPECT_EQ(sense(), 0u) << "it is told once";
}

TEST_F(CdromTest, EjectsAndLoads) {
  EXPECT_FALSE(run({kPreventRemoval, 0, 0, 0, 1}).failed());
  EXPECT_EQ(sense_of({kStartStop, 0, 0, 0, 2}), 0x055302u) << "locked";
  run({kPreventRemoval, 0, 0, 0, 0});
  EXPECT_FALSE(run({kStartStop, 0, 0, 0, 2}).failed());
  EXPECT_EQ(sense_of({kTestUnitReady}), 0x023a02u) << "the tray is open";
  const std::vector<uint8_t> gone = answer({kGetEventStatus, 1, 0, 0, 0x10, 0, 0, 0, 8});
  EXPECT_EQ(gone[4], 3) << "removal";
  EXPECT_EQ(gone[5], 1) << "open, empty";
  EXPECT_FALSE(run({kStartStop, 0, 0, 0, 3}).failed());
  EXPECT_EQ(sense_of({kTestUnitReady}), 0x062800u) << "perhaps another disc";
  const std::vector<uint8_t> back = answer({kGetEventStatus, 1, 0, 0, 0x10, 0, 0, 0, 8});
  EXPECT_EQ(back[4], 2) << "new medium";
  EXPECT_EQ(back[5], 2);
  EXPECT_FALSE(run({kTestUnitReady}).failed());
}

TEST_F(CdromTest, AnEmptyDriveHasNoMedium) {
  Cdrom empty(nullptr, "serial", BusKind::kSerial);
  Command command = empty.begin_packet(empty.begin({.command = kPacket}), {kRequestSense, 0, 0, 0, 18});
  command = empty.begin_packet(empty.begin({.command = kPacket}), {kTestUnitReady});
  EXPECT_EQ(command.error >> 4, 2);
  command = empty.begin_packet(empty.begin({.command = kPacket}), {kRead10, 0, 0, 0, 0, 0, 0, 0, 1});
  EXPECT_TRUE(command.failed());
}

TEST_F(CdromTest, TheTableOfContentsHasOneTrack) {
  const std::vector<uint8_t> toc = answer({kReadToc, 0, 0, 0, 0, 0, 0, 0, 64});
  ASSERT_EQ(toc.size(), 20u);
  EXPECT_EQ(get_big(std::span(toc).first(2)), 18u);
  EXPECT_EQ(toc[6], 1);
  EXPECT_EQ(toc[14], 0xaa);
  EXPECT_EQ(get_big(std::span(toc).last(4)), kBlocks);
  const std::vector<uint8_t> msf = answer({kReadToc, 2, 0, 0, 0, 0, 0xaa, 0, 64});
  EXPECT_EQ(get_big(std::span(msf).last(4)), 0x00000600u) << "300 + 150 frames are six seconds";
  EXPECT_EQ(answer({kReadToc, 0, 2, 0, 0, 0, 0, 0, 200}).size(), 48u);
  EXPECT_EQ(sense_of({kReadToc, 0, 0, 0, 0, 0, 2, 0, 64}), 0x052400u);
}

TEST_F(CdromTest, AnswersAreAsLongAsTheHostHasRoom) {
  EXPECT_EQ(answer({kInquiry, 0, 0, 0, 5}).size(), 5u);
  EXPECT_TRUE(answer({kInquiry, 0, 0, 0, 0}).empty());
  EXPECT_EQ(answer({kModeSense10, 0, 0x3f, 0, 0, 0, 0, 0, 255}).size(), 8u + 8 + 20);
  EXPECT_EQ(answer({kModeSense6, 0, 0x2a, 0, 255}).size(), 4u + 20);
}

TEST_F(CdromTest, ALargeDiscIsADvd) {
  const std::vector<uint8_t> cd = answer({kGetConfiguration, 0, 0, 0, 0, 0, 0, 1, 0});
  EXPECT_EQ(get_big(std::span(cd).subspan(6, 2)), 8u);
  EXPECT_EQ(get_big(std::span(cd).first(4)), cd.size() - 4);
  EXPECT_EQ(answer({kGetConfiguration, 2, 0, 3, 0, 0, 0, 1, 0}).size(), 16u) << "one feature";
}

TEST_F(CdromTest, AHalfBlockAtTheEndReadsAsZeros) {
  MemoryMedium odd(2048 + 512);
  odd.bytes[2048] = 1;
  Cdrom other(&odd, "serial", BusKind::kSerial);
  (void)other.begin_packet(other.begin({.command = kPacket}), {kTestUnitReady});
  Command command = other.begin_packet(other.begin({.command = kPacket}), {kRead10, 0, 0, 0, 0, 1, 0, 0, 1});
  std::vector<uint8_t> data(2048, 0xee);
  const iovec part = {data.data(), data.size()};
  EXPECT_EQ(other.move(command, 0, {&part, 1}), IoStatus::kDone);
  EXPECT_EQ(data[0], 1);
  EXPECT_EQ(data[512], 0);
}

}  // namespace
}  // namespace eidolon::device::storage::ata
