// Page-table entries (SDM vol. 3, 4.3 to 4.5).
#pragma once

#include <cstdint>

namespace eidolon::x86 {

inline constexpr unsigned kPageShift = 12;
inline constexpr uint64_t kPageSize = 1ull << kPageShift;
inline constexpr uint64_t kPageMask = kPageSize - 1;

inline constexpr uint64_t kPtePresent = 1ull << 0;
inline constexpr uint64_t kPteWritable = 1ull << 1;
inline constexpr uint64_t kPteUser = 1ull << 2;
inline constexpr uint64_t kPteAccessed = 1ull << 5;
inline constexpr uint64_t kPteDirty = 1ull << 6;
inline constexpr uint64_t kPteLarge = 1ull << 7;
inline constexpr uint64_t kPteGlobal = 1ull << 8;
inline constexpr uint64_t kPteNoExecute = 1ull << 63;

/// MAXPHYADDR that we offer the guest (CPUID 0x80000008 EAX[7:0]). Entries above it are reserved. Firmware maps all
/// that can be addressed, some by 2 MiB: each further bit doubles the time that takes.
inline constexpr unsigned kPhysicalAddressBits = 40;

}  // namespace eidolon::x86
