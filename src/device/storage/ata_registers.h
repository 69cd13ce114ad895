// The registers and commands of ATA drives (ATA/ATAPI Command Set - 3, ACS-3; ATA8-AAM for the bits), as both
// IDE and AHCI carry them.
#pragma once

#include <cstdint>

namespace eidolon::device::storage::ata {

// Status.
inline constexpr uint8_t kBusy = 0x80, kReady = 0x40, kWriteFault = 0x20, kSeekDone = 0x10,
                         kDataRequest = 0x08, kError = 0x01;
inline constexpr uint8_t kIdle = kReady | kSeekDone;

// Error.
inline constexpr uint8_t kInterfaceCrc = 0x80, kUncorrectable = 0x40, kIdNotFound = 0x10, kAborted = 0x04,
                         kDiagnosticsPassed = 0x01;

// Device.
inline constexpr uint8_t kLbaMode = 0x40, kSecondDrive = 0x10, kForcedUnitAccess = 0x80;

// Device control.
inline constexpr uint8_t kHighOrderByte = 0x80, kSoftReset = 0x04, kNoInterrupt = 0x02;

// Interrupt reason, in the count register of packet commands.
inline constexpr uint8_t kReasonCommand = 1, kReasonIn = 2;

enum Opcode : uint8_t {
  kNop = 0x00,
  kDataSetManagement = 0x06,
  kDeviceReset = 0x08,
  kRecalibrate = 0x10,
  kReadSectors = 0x20,
  kReadSectorsNoRetry = 0x21,
  kReadSectorsExt = 0x24,
  kReadDmaExt = 0x25,
  kReadNativeMaxExt = 0x27,
  kReadMultipleExt = 0x29,
  kReadLogExt = 0x2f,
  kWriteSectors = 0x30,
  kWriteSectorsNoRetry = 0x31,
  kWriteSectorsExt = 0x34,
  kWriteDmaExt = 0x35,
  kWriteMultipleExt = 0x39,
  kWriteDmaFuaExt = 0x3d,
  kReadVerify = 0x40,
  kReadVerifyNoRetry = 0x41,
  kReadVerifyExt = 0x42,
  kReadLogDmaExt = 0x47,
  kReadFpdma = 0x60,
  kWriteFpdma = 0x61,
  kSeek = 0x70,
  kExecuteDiagnostic = 0x90,
  kInitializeParameters = 0x91,
  kPacket = 0xa0,
  kIdentifyPacket = 0xa1,
  kSmart = 0xb0,
  kReadMultiple = 0xc4,
  kWriteMultiple = 0xc5,
  kSetMultiple = 0xc6,
  kReadDma = 0xc8,
  kReadDmaNoRetry = 0xc9,
  kWriteDma = 0xca,
  kWriteDmaNoRetry = 0xcb,
  kWriteMultipleFuaExt = 0xce,
  kStandbyImmediate = 0xe0,
  kIdleImmediate = 0xe1,
  kStandby = 0xe2,
  kIdleTimer = 0xe3,
  kCheckPower = 0xe5,
  kSleep = 0xe6,
  kFlush = 0xe7,
  kFlushExt = 0xea,
  kIdentify = 0xec,
  kSetFeatures = 0xef,
  kReadNativeMax = 0xf8,
};

/// What the host writes before a command, and what it reads afterwards: the command block without status and
/// error. Registers that are written twice hold the earlier value in their upper half.
struct TaskFile {
  uint8_t command = 0;
  uint8_t device = 0;
  uint16_t features = 0;
  uint16_t count = 0;
  uint64_t lba = 0;  ///< 48 bits; LBA low, mid and high are its bytes 0 to 2, and again 3 to 5

  template <typename Self, typename Stream>
  static void fields(Self& self, Stream& s) {
    s(self.command, self.device, self.features, self.count, self.lba);
  }
};

/// What tells disks and packet devices apart after a reset, in count and LBA.
inline constexpr uint64_t kDiskSignature = 0x000001, kPacketSignature = 0xeb1401;

}  // namespace eidolon::device::storage::ata
