// Register numbers as instructions encode them (SDM vol. 2, 2.1.5 and 3.1.1.3).
#pragma once

#include <cstdint>

namespace eidolon::x86 {

enum Gpr : uint8_t {
  kRax,
  kRcx,
  kRdx,
  kRbx,
  kRsp,
  kRbp,
  kRsi,
  kRdi,
  kR8,
  kR9,
  kR10,
  kR11,
  kR12,
  kR13,
  kR14,
  kR15
};
inline constexpr unsigned kGprCount = 16;

enum Segment : uint8_t { kEs, kCs, kSs, kDs, kFs, kGs };
inline constexpr unsigned kSegmentCount = 6;

}  // namespace eidolon::x86
