// RFLAGS (SDM vol. 1, 3.4.3).
#pragma once

#include <cstdint>

namespace eidolon::x86 {

inline constexpr uint64_t kFlagCf = 1u << 0;
inline constexpr uint64_t kFlagFixed = 1u << 1;  ///< always 1
inline constexpr uint64_t kFlagPf = 1u << 2;
inline constexpr uint64_t kFlagAf = 1u << 4;
inline constexpr uint64_t kFlagZf = 1u << 6;
inline constexpr uint64_t kFlagSf = 1u << 7;
inline constexpr uint64_t kFlagTf = 1u << 8;
inline constexpr uint64_t kFlagIf = 1u << 9;
inline constexpr uint64_t kFlagDf = 1u << 10;
inline constexpr uint64_t kFlagOf = 1u << 11;
inline constexpr uint64_t kFlagIopl = 3u << 12;
inline constexpr unsigned kFlagIoplShift = 12;
inline constexpr uint64_t kFlagNt = 1u << 14;
inline constexpr uint64_t kFlagRf = 1u << 16;
inline constexpr uint64_t kFlagVm = 1u << 17;
inline constexpr uint64_t kFlagAc = 1u << 18;
inline constexpr uint64_t kFlagVif = 1u << 19;
inline constexpr uint64_t kFlagVip = 1u << 20;
inline constexpr uint64_t kFlagId = 1u << 21;

/// The flags that arithmetic sets: they live in the host's flags while the guest's code runs.
inline constexpr uint64_t kFlagsArithmetic = kFlagCf | kFlagPf | kFlagAf | kFlagZf | kFlagSf | kFlagOf;
/// Every flag that is not reserved, without the fixed bit.
inline constexpr uint64_t kFlagsDefined = kFlagsArithmetic | kFlagTf | kFlagIf | kFlagDf | kFlagIopl |
                                          kFlagNt | kFlagRf | kFlagVm | kFlagAc | kFlagVif | kFlagVip |
                                          kFlagId;

}  // namespace eidolon::x86
