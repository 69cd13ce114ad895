// Offsets and bits of configuration space (PCI Local Bus 3.0, chapter 6; PCI Express Base 4.0, chapter 7).
#pragma once

#include <cstdint>

namespace eidolon::device::pci {

// The type 0 header.
inline constexpr unsigned kVendorId = 0x00;
inline constexpr unsigned kDeviceId = 0x02;
inline constexpr unsigned kCommand = 0x04;
inline constexpr unsigned kStatus = 0x06;
inline constexpr unsigned kRevision = 0x08;  ///< 8 bits; the class code is above it
inline constexpr unsigned kCacheLine = 0x0c;
inline constexpr unsigned kLatencyTimer = 0x0d;
inline constexpr unsigned kHeaderType = 0x0e;
inline constexpr unsigned kFirstBar = 0x10;
inline constexpr unsigned kSubsystemVendor = 0x2c;
inline constexpr unsigned kSubsystem = 0x2e;
inline constexpr unsigned kRomBar = 0x30;
inline constexpr unsigned kCapabilities = 0x34;
inline constexpr unsigned kInterruptLine = 0x3c;
inline constexpr unsigned kInterruptPin = 0x3d;
inline constexpr unsigned kHeaderEnd = 0x40;

inline constexpr uint8_t kMultiFunction = 0x80;  ///< of kHeaderType

// kCommand
inline constexpr uint16_t kCommandIo = 1u << 0;
inline constexpr uint16_t kCommandMemory = 1u << 1;
inline constexpr uint16_t kCommandBusMaster = 1u << 2;
inline constexpr uint16_t kCommandParity = 1u << 6;
inline constexpr uint16_t kCommandSerr = 1u << 8;
inline constexpr uint16_t kCommandInterruptDisable = 1u << 10;

// kStatus
inline constexpr uint16_t kStatusInterrupt = 1u << 3;
inline constexpr uint16_t kStatusCapabilities = 1u << 4;
inline constexpr uint16_t kStatusErrors = 0xf900;  ///< written ones clear them

// Capability identifiers.
inline constexpr uint8_t kCapabilityPower = 0x01;
inline constexpr uint8_t kCapabilityMsi = 0x05;
inline constexpr uint8_t kCapabilityVendor = 0x09;
inline constexpr uint8_t kCapabilityExpress = 0x10;
inline constexpr uint8_t kCapabilityMsiX = 0x11;

}  // namespace eidolon::device::pci
