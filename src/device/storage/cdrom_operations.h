// The operation codes that the CD-ROM drive knows (MMC-6, chapter 6; SPC-3, chapter 6).
#pragma once

#include <cstdint>

namespace eidolon::device::storage::ata {

enum Operation : uint8_t {
  kTestUnitReady = 0x00,
  kRequestSense = 0x03,
  kInquiry = 0x12,
  kModeSense6 = 0x1a,
  kStartStop = 0x1b,
  kPreventRemoval = 0x1e,
  kReadCapacity = 0x25,
  kRead10 = 0x28,
  kSeek10 = 0x2b,
  kVerify10 = 0x2f,
  kSynchronizeCache = 0x35,
  kReadToc = 0x43,
  kGetConfiguration = 0x46,
  kGetEventStatus = 0x4a,
  kReadDiscInformation = 0x51,
  kModeSense10 = 0x5a,
  kRead12 = 0xa8,
  kReadDiscStructure = 0xad,
  kSetSpeed = 0xbb,
  kMechanismStatus = 0xbd,
  kReadCd = 0xbe,
};

}  // namespace eidolon::device::storage::ata
