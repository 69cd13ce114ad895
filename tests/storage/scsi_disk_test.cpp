// The SCSI disk without a transport.
#include "device/storage/scsi_disk.h"

#include "storage/scsi_fixture.h"

namespace eidolon::device::storage::scsi {
namespace {

constexpr uint64_t kBlocks = 2048;

class ScsiDiskTest : public testing::Test {
 protected:
  ScsiDiskTest() { (void)sense_of(disk, cdb({kTestUnitReady})); }  // the unit attention of power-on

  std::vector<uint8_t> mode_page(uint8_t page, unsigned which = 0) {
    return data_of(disk, cdb({kModeSense6, 0x08, static_cast<uint8_t>(which << 6 | page), 0, 255}));
  }
  std::vector<uint8_t> caching(bool on) {
    std::vector<uint8_t> list = {0, 0, 0, 0, 0x08, 18};
    list.resize(24);
    list[6] = on ? 4 : 0;
    return list;
  }
  std::vector<uint8_t> ranges(std::vector<std::pair<uint64_t, uint32_t>> wanted) {
    std::vector<uint8_t> list;
    append_big(list, 2, 6 + 16 * wanted.size());
    append_big(list, 2, 16 * wanted.size());
    append_big(list, 4, 0);
    for (const auto& [first, count] : wanted) {
      append_big(list, 8, first);
      append_big(list, 4, count);
      append_big(list, 4, 0);
    }
    return list;
  }
  uint32_t unmap(const std::vector<uint8_t>& list) {
    return sense_of(disk, cdb_10(kUnmap, 0, static_cast<uint16_t>(list.size())), list);
  }

  MemoryMedium medium{kBlocks * 512};
  Disk disk{medium, "number 7"};
};

TEST_F(ScsiDiskTest, TheFirstCommandAfterAResetIsToldOfIt) {
  disk.reset(kUnitReset);
  EXPECT_EQ(data_of(disk, cdb({kInquiry, 0, 0, 0, 36}))[0], 0) << "but INQUIRY is not";
  EXPECT_EQ(sense_of(disk, cdb({kTestUnitReady})), 0x062903u);
  EXPECT_TRUE(run_out(disk, cdb({kTestUnitReady})).good());
  disk.reset(kPowerOn);
  EXPECT_EQ(data_of(disk, cdb({kRequestSense, 0, 0, 0, 18}))[12], 0x29) << "REQUEST SENSE tells it as data";
  EXPECT_TRUE(run_out(disk, cdb({kTestUnitReady})).good());
}

TEST_F(ScsiDiskTest, SmallTransfersThatNeedNotWaitCanBeDoneAtOnce) {
  std::vector<uint8_t> data(1024, 7);
  const iovec piece = {data.data(), data.size()};
  const auto in = [&](const Cdb& command) {
    return disk.execute_at_once({.cdb = command, .to_guest = {&piece, 1}});
  };
  const auto out = [&](const Cdb& command) {
    return disk.execute_at_once({.cdb = command, .from_guest = {&piece, 1}});
  };
  EXPECT_FALSE(in(cdb_10(kRead10, 5, 2))) << "the medium has to be waited for";
  medium.at_once = true;
  EXPECT_EQ(out(cdb_16(kWrite16, 5, 2))->moved, 1024u);
  EXPECT_EQ(medium.bytes[6 * 512], 7);
  medium.bytes[5 * 512] = 9;
  EXPECT_EQ(in(cdb_10(kRead10, 5, 1))->moved, 512u);
  EXPECT_EQ(data[0], 9);

  // What is not that, or is an error, is left to execute().
  EXPECT_FALSE(in(cdb({kTestUnitReady})));
  EXPECT_FALSE(in(cdb_10(kRead10, 5, 3))) << "too little room";
  EXPECT_FALSE(in(cdb_10(kRead10, kBlocks, 1))) << "beyond the end";
  EXPECT_FALSE(in(cdb_10(kRead10, 5, 0)));
  EXPECT_FALSE(in(cdb_10(kRead10, 5, 1, 0x20))) << "protection";
  EXPECT_FALSE(in(cdb_10(kRead10, 5, 1, 0x08))) << "through the cache";
  EXPECT_FALSE(out(cdb_10(kRead10, 5, 1)));
  std::vector<uint8_t> long_data(129 * 512);
  const iovec long_piece = {long_data.data(), long_data.size()};
  EXPECT_FALSE(disk.execute_at_once({.cdb = cdb_10(kRead10, 0, 129), .to_guest = {&long_piece, 1}}));
  EXPECT_TRUE(disk.execute_at_once({.cdb = cdb_10(kRead10, 0, 128), .to_guest = {&long_piece, 1}}));
  medium.is_read_only = true;
  EXPECT_FALSE(out(cdb_10(kWrite10, 5, 1)));
  medium.is_read_only = false;
  disk.reset(kUnitReset);
  EXPECT_FALSE(in(cdb_10(kRead10, 5, 1))) << "it is to be told of the reset";
  EXPECT_EQ(sense_of(disk, cdb_10(kRead10, 5, 1)), 0x062903u);
  EXPECT_TRUE(in(cdb_10(kRead10, 5, 1)));
  EXPECT_TRUE(run_out(disk, cdb({kModeSelect6, 0x10, 0, 0, 24}), caching(false)).good());
  EXPECT_FALSE(out(cdb_10(kWrite10, 5, 1))) << "there is no cache to stop at";
}

TEST_F(ScsiDiskTest, IntroducesItself) {
  const std::vector<uint8_t> data = data_of(disk, cdb({kInquiry, 0, 0, 0, 255}));
  EXPECT_EQ(std::string(data.begin() + 8, data.begin() + 28), "Eidolon Virtual disk");
  EXPECT_EQ(data.size(), data[4] + 5u);
  EXPECT_EQ(data_of(disk, cdb({kInquiry, 0, 0, 0, 5})).size(), 5u) << "no more than is allowed";
  EXPECT_EQ(data_of(disk, cdb({kInquiry, 1, 0x00, 0, 255})),
            (std::vector<uint8_t>{0, 0, 0, 6, 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2}));
  const std::vector<uint8_t> serial = data_of(disk, cdb({kInquiry, 1, 0x80, 0, 255}));
  EXPECT_EQ(std::string(serial.begin() + 4, serial.end()), "number 7");
  const std::vector<uint8_t> name = data_of(disk, cdb({kInquiry, 1, 0x83, 0, 255}));
  EXPECT_EQ(std::string(name.begin() + 8, name.end()), "Eidolon number 7");
  EXPECT_EQ(data_of(disk, cdb({kInquiry, 1, 0xb1, 0, 255}))[5], 1) << "nothing turns";
  EXPECT_EQ(data_of(disk, cdb({kInquiry, 1, 0xb2, 0, 255}))[5], 0xe0) << "three ways to unmap";
  EXPECT_EQ(sense_of(disk, cdb({kInquiry, 1, 0x86, 0, 255})), 0x052400u);
  EXPECT_EQ(sense_of(disk, cdb({kInquiry, 0, 0x80, 0, 255})), 0x052400u) << "a page, and no page";
}

TEST_F(ScsiDiskTest, TellsItsCapacity) {
  const std::vector<uint8_t> small = data_of(disk, cdb({kReadCapacity}));
  EXPECT_EQ(get_big(std::span(small).first(4)), kBlocks - 1);
  EXPECT_EQ(get_big(std::span(small).subspan(4)), 512u);
  const std::vector<uint8_t> large =
      data_of(disk, cdb({kServiceActionIn16, kReadCapacity16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32}));
  ASSERT_EQ(large.size(), 32u);
  EXPECT_EQ(get_big(std::span(large).first(8)), kBlocks - 1);
  EXPECT_EQ(large[14], 0x80);
}

TEST_F(ScsiDiskTest, ReadsInEveryForm) {
  medium.bytes[7 * 512] = 0x77;
  for (const Cdb& form : {cdb({kRead6, 0, 0, 7, 2}), cdb_10(kRead10, 7, 2), cdb_16(kRead16, 7, 2),
                          cdb({kRead12, 0, 0, 0, 0, 7, 0, 0, 0, 2})}) {
    const std::vector<uint8_t> data = data_of(disk, form, 1024);
    ASSERT_EQ(data.size(), 1024u) << int{form[0]};
    EXPECT_EQ(data[0], 0x77);
    EXPECT_EQ(data[512], 0);
  }
  EXPECT_EQ(data_of(disk, cdb({kRead6, 0, 0, 0, 0}), 256 * 512).size(), 256 * 512u) << "no length is 256";
  EXPECT_TRUE(run_out(disk, cdb_10(kRead10, kBlocks, 0)).good()) << "and none in the others";
}

TEST_F(ScsiDiskTest, WritesInEveryForm) {
  for (const Cdb& form : {cdb({kWrite6, 0, 0, 3, 1}), cdb_10(kWrite10, 3, 1), cdb_16(kWrite16, 3, 1),
                          cdb({kWrite12, 0, 0, 0, 0, 3, 0, 0, 0, 1})}) {
    medium.bytes[3 * 512 + 511] = 0;
    const Answer answer = run_out(disk, form, std::vector<uint8_t>(1024, 0x33));
    EXPECT_TRUE(answer.good());
    EXPECT_EQ(answer.moved, 512u) << "and not what is sent besides";
    EXPECT_EQ(medium.bytes[3 * 512 + 511], 0x33) << int{form[0]};
    EXPECT_EQ(medium.bytes[4 * 512], 0);
  }
}

TEST_F(ScsiDiskTest, NothingLiesBeyondTheEnd) {
  EXPECT_EQ(sense_of(disk, cdb_10(kRead10, kBlocks - 1, 2)), 0x052100u);
  EXPECT_EQ(sense_of(disk, cdb_16(kWrite16, ~uint64_t{0}, 2), std::vector<uint8_t>(1024)), 0x052100u);
  EXPECT_EQ(sense_of(disk, cdb_16(kVerify16, kBlocks, 1)), 0x052100u);
  EXPECT_EQ(sense_of(disk, cdb_16(kSynchronizeCache16, kBlocks + 1, 0)), 0x052100u);
  EXPECT_EQ(sense_of(disk, cdb_16(kWriteSame16, kBlocks - 1, 2, 1)), 0x052100u);
  EXPECT_EQ(unmap(ranges({{0, 8}, {kBlocks - 4, 8}})), 0x052100u);
  EXPECT_EQ(medium.discarded.second, 0u) << "all ranges are looked at before one is forgotten";
}

TEST_F(ScsiDiskTest, WithTooLittleRoomNothingIsDone) {
  std::vector<uint8_t> data(511);
  EXPECT_TRUE(run_in(disk, cdb_10(kRead10, 0, 1), data).overrun);
  EXPECT_TRUE(run_out(disk, cdb_10(kWrite10, 0, 1), std::vector<uint8_t>(511, 1)).overrun);
  EXPECT_EQ(medium.bytes[0], 0);
  EXPECT_TRUE(run_out(disk, cdb_10(kUnmap, 0, 24), std::vector<uint8_t>(23)).overrun);
  EXPECT_TRUE(run_out(disk, cdb({kInquiry, 0, 0, 0, 36})).overrun);
}

TEST_F(ScsiDiskTest, ForcedAccessAndASwitchedOffCacheReachTheMedium) {
  const std::vector<uint8_t> block(512);
  EXPECT_TRUE(run_out(disk, cdb_10(kWrite10, 0, 1), block).good());
  EXPECT_EQ(medium.flushes, 0u);
  EXPECT_TRUE(run_out(disk, cdb_10(kWrite10, 0, 1, 0x08), block).good());
  EXPECT_EQ(medium.flushes, 1u);
  EXPECT_EQ(data_of(disk, cdb_16(kRead16, 0, 1, 0x08)).size(), 512u);
  EXPECT_EQ(medium.flushes, 2u);
  EXPECT_TRUE(run_out(disk, cdb_10(kSynchronizeCache, 0, 0)).good());
  EXPECT_EQ(medium.flushes, 3u);
  EXPECT_TRUE(run_out(disk, cdb({kModeSelect6, 0x10, 0, 0, 24}), caching(false)).good());
  EXPECT_EQ(medium.flushes, 4u) << "what was in the cache";
  EXPECT_EQ(mode_page(0x08)[6], 0);
  EXPECT_TRUE(run_out(disk, cdb_10(kWrite10, 0, 1), block).good());
  EXPECT_EQ(medium.flushes, 5u);
  EXPECT_EQ(mode_page(0x08, 2)[6], 4) << "at first it is on";
  disk.reset(kUnitReset);
  EXPECT_EQ(sense_of(disk, cdb({kTestUnitReady})), 0x062903u);
  EXPECT_EQ(mode_page(0x08)[6], 4) << "and again after a reset";
}

TEST_F(ScsiDiskTest, ModePagesSayWhatIsAndWhatCanBe) {
  const std::vector<uint8_t> all = data_of(disk, cdb({kModeSense10, 0, 0x3f, 0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(get_big(std::span(all).first(2)), all.size() - 2);
  EXPECT_EQ(all[3], 0x10) << "not protected, FUA";
  EXPECT_EQ(all[7], 8);
  EXPECT_EQ(get_big(std::span(all).subspan(8, 4)), kBlocks);
  EXPECT_EQ(mode_page(0x08, 1)[6], 4) << "the write cache can be changed, and nothing else";
  EXPECT_EQ(mode_page(0x0a, 1)[7], 0);
  EXPECT_EQ(sense_of(disk, cdb({kModeSense6, 0, 0xc8, 0, 255})), 0x053900u);
  EXPECT_EQ(sense_of(disk, cdb({kModeSense6, 0, 0x1c, 0, 255})), 0x052400u);
}

TEST_F(ScsiDiskTest, ModeSelectRefusesWhatItCannotDo) {
  const Cdb select = cdb({kModeSelect6, 0x10, 0, 0, 24});
  std::vector<uint8_t> list = caching(true);
  list[7] = 1;
  EXPECT_EQ(sense_of(disk, select, list), 0x052600u) << "another field";
  list = caching(true);
  list[4] = 0x1c;
  EXPECT_EQ(sense_of(disk, select, list), 0x052600u) << "another page";
  EXPECT_EQ(sense_of(disk, cdb({kModeSelect6, 0x10, 0, 0, 20}), caching(true)), 0x051a00u) << "cut off";
  EXPECT_EQ(sense_of(disk, cdb({kModeSelect6, 0, 0, 0, 24}), caching(true)), 0x052400u);
  list = {0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 4, 0};
  EXPECT_EQ(sense_of(disk, cdb({kModeSelect6, 0x10, 0, 0, 12}), list), 0x052600u) << "blocks of 1,024 bytes";
  list[10] = 2;
  EXPECT_EQ(sense_of(disk, cdb({kModeSelect6, 0x10, 0, 0, 12}), list), 0u);
}

TEST_F(ScsiDiskTest, Unmaps) {
  EXPECT_EQ(unmap(ranges({{16, 8}})), 0u);
  EXPECT_EQ(medium.discarded, (std::pair<uint64_t, uint64_t>(16 * 512, 8 * 512)));
  medium.discarded = {};
  EXPECT_EQ(unmap(ranges({{16, 0}})), 0u);
  EXPECT_EQ(unmap({}), 0u);
  EXPECT_EQ(medium.discarded.second, 0u);
  EXPECT_EQ(unmap({0, 0, 0}), 0x051a00u);
  EXPECT_EQ(unmap(ranges(std::vector<std::pair<uint64_t, uint32_t>>(256))), 0x052600u);
  EXPECT_EQ(sense_of(disk, cdb_10(kUnmap, 0, 24, 1), ranges({{0, 8}})), 0x052400u) << "anchored";
}

TEST_F(ScsiDiskTest, WritesTheSameBlockManyTimes) {
  std::vector<uint8_t> block(512, 0x44);
  block[511] = 0x45;
  EXPECT_EQ(sense_of(disk, cdb_10(kWriteSame10, 8, 600), block), 0u);
  EXPECT_EQ(medium.bytes[8 * 512], 0x44);
  EXPECT_EQ(medium.bytes[607 * 512 + 511], 0x45);
  EXPECT_EQ(medium.bytes[608 * 512], 0);
  EXPECT_EQ(medium.bytes[7 * 512 + 511], 0);
  EXPECT_EQ(sense_of(disk, cdb_16(kWriteSame16, 8, 1, 0x08), std::vector<uint8_t>(512)), 0u) << "zeros";
  EXPECT_EQ(sense_of(disk, cdb_16(kWriteSame16, 9, 1, 0x09)), 0u) << "zeros that need not be sent";
  EXPECT_EQ(medium.bytes[8 * 512], 0);
  EXPECT_EQ(medium.bytes[9 * 512], 0);
  EXPECT_EQ(medium.bytes[10 * 512], 0x44);
  EXPECT_EQ(sense_of(disk, cdb_16(kWriteSame16, 0, 0, 1)), 0x052400u) << "all of them, which is not offered";
}

TEST_F(ScsiDiskTest, AFailureOfTheHostIsSaid) {
  medium.result = IoStatus::kFailed;
  const std::vector<uint8_t> data(512);
  std::vector<uint8_t> room(512);
  EXPECT_EQ(number(run_in(disk, cdb_10(kRead10, 0, 1), room).sense), 0x031100u);
  EXPECT_EQ(sense_of(disk, cdb_10(kVerify10, 0, 1)), 0x031100u);
  EXPECT_EQ(sense_of(disk, cdb_10(kWrite10, 0, 1), data), 0x030c00u);
  EXPECT_EQ(sense_of(disk, cdb_10(kSynchronizeCache, 0, 0)), 0x030c00u);
  medium.result = IoStatus::kNoSpace;
  EXPECT_EQ(sense_of(disk, cdb_10(kWrite10, 0, 1), data), 0x072707u);
}

TEST_F(ScsiDiskTest, AReadOnlyMediumIsNotWritten) {
  medium.is_read_only = true;
  EXPECT_EQ(sense_of(disk, cdb_10(kWrite10, 0, 1), std::vector<uint8_t>(512, 1)), 0x072700u);
  EXPECT_EQ(unmap(ranges({{0, 8}})), 0x072700u);
  EXPECT_EQ(sense_of(disk, cdb_16(kWriteSame16, 0, 1, 1)), 0x072700u);
  EXPECT_EQ(medium.bytes[0], 0);
  EXPECT_EQ(mode_page(0x08)[2] & 0x80, 0x80);
  EXPECT_EQ(data_of(disk, cdb({kInquiry, 1, 0xb2, 0, 255}))[5], 0);
}

TEST_F(ScsiDiskTest, WhatItDoesNotKnowItRefuses) {
  EXPECT_EQ(sense_of(disk, cdb({0xff})), 0x052000u);
  EXPECT_EQ(sense_of(disk, cdb({kServiceActionIn16, 0x12})), 0x052400u);
  EXPECT_EQ(sense_of(disk, cdb_10(kRead10, 0, 1, 0x20)), 0x052400u) << "protection information";
}

TEST_F(ScsiDiskTest, ASnapshotKeepsItsState) {
  EXPECT_TRUE(run_out(disk, cdb({kModeSelect6, 0x10, 0, 0, 24}), caching(false)).good());
  StateWriter writer;
  writer.begin("disk", 1);
  disk.save(writer);
  writer.end();
  Disk other(medium, "number 7");
  StateReader reader(writer.bytes());
  reader.begin("disk");
  other.load(reader);
  EXPECT_FALSE(reader.failed());
  EXPECT_TRUE(run_out(other, cdb({kTestUnitReady})).good()) << "which is told already";
  EXPECT_EQ(data_of(other, cdb({kModeSense6, 0x08, 0x08, 0, 255}))[6], 0);
}

}  // namespace
}  // namespace eidolon::device::storage::scsi
