// Registers, command structures and FISes of the Advanced Host Controller Interface (AHCI 1.3.1, chapters 3
// and 4; Serial ATA 3, 10.5 for the FISes).
#pragma once

#include <cstdint>

namespace eidolon::device::storage::ahci {

// Generic host control.
inline constexpr uint32_t kCap = 0x00, kGhc = 0x04, kIs = 0x08, kPi = 0x0c, kVs = 0x10, kCap2 = 0x24;
inline constexpr uint32_t kFirstPort = 0x100, kPortBytes = 0x80;

inline constexpr uint32_t kVersion = 0x00010301;
inline constexpr uint32_t kGhcReset = 1u << 0, kGhcInterrupts = 1u << 1, kGhcAhci = 1u << 31;
/// 64-bit addresses, NCQ, command list override, 6 Gbit/s, AHCI only, PIO in several blocks, 32 slots.
inline constexpr uint32_t kCapFixed =
    1u << 31 | 1u << 30 | 1u << 24 | 3u << 20 | 1u << 18 | 1u << 15 | 31u << 8;

// Of a port.
inline constexpr uint32_t kClb = 0x00, kClbu = 0x04, kFb = 0x08, kFbu = 0x0c, kPxIs = 0x10, kPxIe = 0x14,
                          kCmd = 0x18, kTfd = 0x20, kSig = 0x24, kSsts = 0x28, kSctl = 0x2c, kSerr = 0x30,
                          kSact = 0x34, kCi = 0x38;

// PxIS and PxIE.
inline constexpr uint32_t kIntD2h = 1u << 0, kIntPioSetup = 1u << 1, kIntSetDeviceBits = 1u << 3,
                          kIntConnect = 1u << 6, kIntPhyReady = 1u << 22, kIntOverflow = 1u << 24,
                          kIntInterfaceFatal = 1u << 27, kIntHostBusFatal = 1u << 29, kIntTaskFile = 1u << 30;
inline constexpr uint32_t kIntAll = 0xfdc000ff;  ///< those that are defined

// PxCMD.
inline constexpr uint32_t kStart = 1u << 0, kSpinUp = 1u << 1, kPowerOn = 1u << 2, kOverride = 1u << 3,
                          kFisReceive = 1u << 4, kFisRunning = 1u << 14, kListRunning = 1u << 15,
                          kAtapi = 1u << 24;
inline constexpr uint32_t kCmdWritable = kStart | kFisReceive | kAtapi | 1u << 25 /* LED */;

inline constexpr uint32_t kLinkUp = 0x133;  ///< PxSSTS: device there, 6 Gbit/s, active
inline constexpr uint32_t kSerrExchanged = 1u << 26, kSerrPhyReady = 1u << 16;
inline constexpr uint32_t kNoDeviceTfd = 0x7f, kNoSignature = 0xffffffff;

/// A slot of the command list (4.2.2).
struct CommandHeader {
  static constexpr uint16_t kLengthMask = 0x1f, kWrite = 1u << 6;
  uint16_t options;
  uint16_t prds;
  uint32_t bytes;  ///< PRDBC: moved so far
  uint32_t table_low;
  uint32_t table_high;
  uint32_t reserved[4];
};
static_assert(sizeof(CommandHeader) == 32);

/// An entry of the physical region descriptor table (4.2.3.3).
struct Prd {
  uint32_t address_low;
  uint32_t address_high;
  uint32_t reserved;
  uint32_t count;  ///< less one, 22 bits

  [[nodiscard]] uint64_t address() const {
    return (uint64_t{address_high} << 32 | address_low) & ~uint64_t{1};
  }
  [[nodiscard]] uint64_t length() const { return (count & 0x3fffff) + uint64_t{1}; }
};
static_assert(sizeof(Prd) == 16);
inline constexpr uint64_t kTableCdb = 0x40, kTablePrds = 0x80;

// Where FISes are received (4.2.1).
inline constexpr uint64_t kFisPioSetupAt = 0x20, kFisD2hAt = 0x40, kFisBitsAt = 0x58;
inline constexpr uint8_t kFisH2d = 0x27, kFisD2h = 0x34, kFisPioSetup = 0x5f, kFisSetBits = 0xa1;
inline constexpr uint8_t kFisInterrupt = 0x40, kFisToHost = 0x20, kFisIsCommand = 0x80;

}  // namespace eidolon::device::storage::ahci
