// The commands and status bits of the floppy controller (82077AA datasheet, 290166, chapter 5 and 6).
#pragma once

#include <cstdint>

namespace eidolon::device::storage::floppy {

enum Command : uint8_t {  ///< the low five bits of the first byte
  kReadTrack = 0x02,
  kSpecify = 0x03,
  kSenseDrive = 0x04,
  kWrite = 0x05,
  kRead = 0x06,
  kRecalibrate = 0x07,
  kSenseInterrupt = 0x08,
  kWriteDeleted = 0x09,
  kReadId = 0x0a,
  kReadDeleted = 0x0c,
  kFormat = 0x0d,
  kDumpRegisters = 0x0e,
  kSeek = 0x0f,
  kVersion = 0x10,
  kPerpendicular = 0x12,
  kConfigure = 0x13,
  kLock = 0x14,
  kVerify = 0x16,
};
inline constexpr uint8_t kCommandMask = 0x1f, kMultiTrack = 0x80;

// Status 0.
inline constexpr uint8_t kAbnormal = 0x40, kInvalid = 0x80, kChangedReady = 0xc0, kSeekEnd = 0x20,
                         kEquipmentCheck = 0x10;
// Status 1.
inline constexpr uint8_t kEndOfCylinder = 0x80, kDataError = 0x20, kOverrun = 0x10, kNoData = 0x04,
                         kNotWritable = 0x02, kMissingMark = 0x01;
// Status 2.
inline constexpr uint8_t kWrongCylinder = 0x10;
// Status 3.
inline constexpr uint8_t kProtected = 0x40, kAlwaysOne = 0x28, kTrackZero = 0x10;

inline constexpr uint8_t kSizeCode = 2;  ///< sectors of 512 bytes

}  // namespace eidolon::device::storage::floppy
