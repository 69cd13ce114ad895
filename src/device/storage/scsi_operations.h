// The operation codes that the SCSI devices here know (SPC-4, SBC-3, MMC-6).
#pragma once

#include <cstdint>

namespace eidolon::device::storage::scsi {

enum Operation : uint8_t {
  kTestUnitReady = 0x00,
  kRequestSense = 0x03,
  kRead6 = 0x08,
  kWrite6 = 0x0a,
  kInquiry = 0x12,
  kModeSelect6 = 0x15,
  kModeSense6 = 0x1a,
  kStartStop = 0x1b,
  kPreventRemoval = 0x1e,
  kReadCapacity = 0x25,
  kRead10 = 0x28,
  kWrite10 = 0x2a,
  kSeek10 = 0x2b,
  kVerify10 = 0x2f,
  kSynchronizeCache = 0x35,
  kWriteSame10 = 0x41,
  kUnmap = 0x42,
  kReadToc = 0x43,
  kGetConfiguration = 0x46,
  kGetEventStatus = 0x4a,
  kReadDiscInformation = 0x51,
  kModeSelect10 = 0x55,
  kModeSense10 = 0x5a,
  kRead16 = 0x88,
  kWrite16 = 0x8a,
  kVerify16 = 0x8f,
  kSynchronizeCache16 = 0x91,
  kWriteSame16 = 0x93,
  kServiceActionIn16 = 0x9e,  ///< with kReadCapacity16
  kReportLuns = 0xa0,
  kRead12 = 0xa8,
  kWrite12 = 0xaa,
  kReadDiscStructure = 0xad,
  kSetSpeed = 0xbb,
  kMechanismStatus = 0xbd,
  kReadCd = 0xbe,
};

inline constexpr uint8_t kReadCapacity16 = 0x10;

}  // namespace eidolon::device::storage::scsi
