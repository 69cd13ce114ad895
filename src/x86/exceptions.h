// Exception vectors and error codes (SDM vol. 3, 6.3, 6.13 and 4.7).
#pragma once

#include <cstdint>

namespace eidolon::x86 {

enum Vector : uint8_t {
  kDivideError = 0,
  kDebug = 1,
  kNmi = 2,
  kBreakpoint = 3,
  kOverflow = 4,
  kBoundRange = 5,
  kInvalidOpcode = 6,
  kDeviceNotAvailable = 7,
  kDoubleFault = 8,
  kInvalidTss = 10,
  kSegmentNotPresent = 11,
  kStackFault = 12,
  kGeneralProtection = 13,
  kPageFault = 14,
  kX87Fault = 16,
  kAlignmentCheck = 17,
  kMachineCheck = 18,
  kSimdFault = 19,
};

/// Whether delivery pushes an error code (only for exceptions, never for INT n or interrupts).
[[nodiscard]] constexpr bool pushes_error_code(uint8_t vector) {
  return vector == kDoubleFault || (vector >= kInvalidTss && vector <= kPageFault) ||
         vector == kAlignmentCheck;
}

inline constexpr uint32_t kErrorExternal = 1;  ///< EXT: caused by an event external to the program
inline constexpr uint32_t kErrorIdt = 2;       ///< the index refers to the IDT
inline constexpr uint32_t kErrorLdt = 4;       ///< TI: the index refers to the LDT

inline constexpr uint32_t kPfPresent = 1;
inline constexpr uint32_t kPfWrite = 2;
inline constexpr uint32_t kPfUser = 4;
inline constexpr uint32_t kPfReserved = 8;
inline constexpr uint32_t kPfFetch = 16;

}  // namespace eidolon::x86
