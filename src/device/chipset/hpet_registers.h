// Offsets and bits of the HPET (specification 1.0a, 2.3).
#pragma once

#include <cstdint>

#include "device/chipset/hpet.h"

namespace eidolon::device::hpet {

inline constexpr uint64_t kCapabilities = 0x00;
inline constexpr uint64_t kConfig = 0x10;
inline constexpr uint64_t kStatus = 0x20;
inline constexpr uint64_t kCounter = 0xf0;
inline constexpr uint64_t kTimerBase = 0x100;
inline constexpr uint64_t kTimerStride = 0x20;
inline constexpr uint64_t kTimerConfig = 0x00;
inline constexpr uint64_t kTimerComparator = 0x08;

/// Period in femtoseconds, then vendor, legacy capable, 64-bit counter, number of timers, revision.
inline constexpr uint64_t kCapabilityValue = uint64_t{Hpet::kTick} * 1'000'000 << 32 | Hpet::kBlockId;

inline constexpr uint64_t kEnable = 1;
inline constexpr uint64_t kLegacy = 2;

// Timer configuration.
inline constexpr uint64_t kLevel = 1u << 1;
inline constexpr uint64_t kInterrupt = 1u << 2;
inline constexpr uint64_t kPeriodic = 1u << 3;
inline constexpr uint64_t kSetValue = 1u << 6;
inline constexpr uint64_t k32Bit = 1u << 8;
inline constexpr unsigned kRouteShift = 9;
inline constexpr uint64_t kTimerWritable = kLevel | kInterrupt | kPeriodic | kSetValue | k32Bit | 0x1fu << 9;
/// Periodic and 64-bit capable, and the pins of the I/O APIC that it reaches.
inline constexpr uint64_t kTimerCapabilities =
    1u << 4 | 1u << 5 | ((uint64_t{1} << Hpet::kPins) - 1) << (32 + Hpet::kFirstPin);

}  // namespace eidolon::device::hpet
