// The CD-ROM drive as a logical unit: its packets are tested in cdrom_test.cpp.
#include "device/storage/scsi_cdrom.h"

#include "storage/scsi_fixture.h"

namespace eidolon::device::storage::scsi {
namespace {

class ScsiCdromTest : public testing::Test {
 protected:
  ScsiCdromTest() { (void)sense_of(drive, cdb({kTestUnitReady})); }
  MemoryMedium disc{300 * 2048};
  Cdrom drive{disc, "disc 1"};
};

TEST_F(ScsiCdromTest, IntroducesItselfAsADriveOfAScsiBus) {
  const std::vector<uint8_t> data = data_of(drive, cdb({kInquiry, 0, 0, 0, 255}));
  EXPECT_EQ(data[0], 5);
  EXPECT_EQ(data[1], 0x80);
  EXPECT_EQ(data[2], 6) << "a version, so that drivers ask for the list of units";
  const std::vector<uint8_t> serial = data_of(drive, cdb({kInquiry, 1, 0x80, 0, 255}));
  EXPECT_EQ(std::string(serial.begin() + 4, serial.end()), "disc 1");
  EXPECT_EQ(sense_of(drive, cdb({kInquiry, 1, 0x83, 0, 255})), 0x052400u);
}

TEST_F(ScsiCdromTest, ReadsItsDisc) {
  disc.bytes[40 * 2048] = 0x40;
  const std::vector<uint8_t> data = data_of(drive, cdb_10(kRead10, 40, 2), 8192);
  ASSERT_EQ(data.size(), 4096u);
  EXPECT_EQ(data[0], 0x40);
  std::vector<uint8_t> little(4095);
  EXPECT_TRUE(run_in(drive, cdb_10(kRead10, 40, 2), little).overrun);
  EXPECT_EQ(sense_of(drive, cdb_10(kRead10, 300, 1)), 0x052100u);
  disc.result = IoStatus::kFailed;
  std::vector<uint8_t> block(2048);
  EXPECT_EQ(number(run_in(drive, cdb_10(kRead10, 0, 1), block).sense), 0x031100u);
}

TEST_F(ScsiCdromTest, SenseComesWithTheFailureAndIsTold) {
  EXPECT_EQ(sense_of(drive, cdb({0xff})), 0x052000u);
  EXPECT_EQ(data_of(drive, cdb({kRequestSense, 0, 0, 0, 18}))[2], 0);
  EXPECT_EQ(sense_of(drive, cdb({kStartStop, 0, 0, 0, 2})), 0u);
  EXPECT_EQ(sense_of(drive, cdb({kTestUnitReady})), 0x023a02u) << "the tray is open";
  drive.reset(kPowerOn);
  EXPECT_EQ(sense_of(drive, cdb({kTestUnitReady})), 0x062900u);
  EXPECT_EQ(sense_of(drive, cdb({kTestUnitReady})), 0u);
}

}  // namespace
}  // namespace eidolon::device::storage::scsi
