// Register numbers and bits of the local APIC (SDM volume 3, tables 11-1 and 11-6). A number is both the
// xAPIC offset divided by 16 and the x2APIC MSR less 0x800.
#pragma once

#include <cstdint>

namespace eidolon::interrupt {

enum ApicRegister : unsigned {
  kApicId = 0x02,
  kApicVersion = 0x03,
  kApicTpr = 0x08,
  kApicApr = 0x09,
  kApicPpr = 0x0a,
  kApicEoi = 0x0b,
  kApicLdr = 0x0d,
  kApicDfr = 0x0e,
  kApicSpurious = 0x0f,
  kApicIsr = 0x10,  ///< eight of them
  kApicTmr = 0x18,
  kApicIrr = 0x20,
  kApicEsr = 0x28,
  kApicLvtCmci = 0x2f,
  kApicIcrLow = 0x30,
  kApicIcrHigh = 0x31,
  kApicLvtTimer = 0x32,  ///< then thermal, performance, LINT0, LINT1
  kApicLvtError = 0x37,
  kApicInitialCount = 0x38,
  kApicCurrentCount = 0x39,
  kApicDivide = 0x3e,
  kApicSelfIpi = 0x3f,
};

inline constexpr uint32_t kSpuriousEnable = 1u << 8;
inline constexpr uint32_t kSpuriousWritable = 0x1ff;

inline constexpr uint32_t kLvtRemoteIrr = 1u << 14;
inline constexpr uint32_t kLvtLevel = 1u << 15;
inline constexpr uint32_t kLvtMasked = 1u << 16;

inline constexpr uint32_t kErrorSendIllegal = 1u << 5;
inline constexpr uint32_t kErrorReceiveIllegal = 1u << 6;

inline constexpr uint32_t kIcrLogical = 1u << 11;
inline constexpr uint32_t kIcrAssert = 1u << 14;
inline constexpr uint32_t kIcrLevel = 1u << 15;
inline constexpr uint32_t kIcrWritable = 0x000ccfff;

}  // namespace eidolon::interrupt
