// Model-specific registers that a guest may see (SDM vol. 4; AMD APM vol. 2, appendix A).
#pragma once

#include <cstdint>

namespace eidolon::x86 {

enum Msr : uint32_t {
  kMsrTsc = 0x10,
  kMsrPlatformId = 0x17,
  kMsrApicBase = 0x1b,
  kMsrFeatureControl = 0x3a,
  kMsrTscAdjust = 0x3b,
  kMsrSpecCtrl = 0x48,
  kMsrPredCmd = 0x49,
  kMsrBiosUpdateSignature = 0x8b,
  kMsrMtrrCap = 0xfe,
  kMsrArchCapabilities = 0x10a,
  kMsrSysenterCs = 0x174,
  kMsrSysenterEsp = 0x175,
  kMsrSysenterEip = 0x176,
  kMsrMcgCap = 0x179,
  kMsrMcgStatus = 0x17a,
  kMsrMcgCtl = 0x17b,
  kMsrMiscEnable = 0x1a0,
  kMsrDebugCtl = 0x1d9,
  kMsrMtrrPhysBase0 = 0x200,  ///< base and mask alternate, eight pairs
  kMsrMtrrFix64k = 0x250,
  kMsrMtrrFix16k80000 = 0x258,
  kMsrMtrrFix16kA0000 = 0x259,
  kMsrMtrrFix4kC0000 = 0x268,  ///< eight of them
  kMsrPat = 0x277,
  kMsrMtrrDefType = 0x2ff,
  kMsrTscDeadline = 0x6e0,
  kMsrX2ApicFirst = 0x800,
  kMsrX2ApicLast = 0x8ff,
  kMsrXss = 0xda0,
  kMsrEfer = 0xc0000080,
  kMsrStar = 0xc0000081,
  kMsrLstar = 0xc0000082,
  kMsrCstar = 0xc0000083,
  kMsrFmask = 0xc0000084,
  kMsrFsBase = 0xc0000100,
  kMsrGsBase = 0xc0000101,
  kMsrKernelGsBase = 0xc0000102,
  kMsrTscAux = 0xc0000103,
};

inline constexpr uint64_t kArchCapabilityRdclNo = 1u << 0;  ///< no rogue data cache load (Meltdown)

inline constexpr uint64_t kApicBaseBsp = 1u << 8;
inline constexpr uint64_t kApicBaseX2Apic = 1u << 10;
inline constexpr uint64_t kApicBaseEnable = 1u << 11;

/// PAT after reset (SDM vol. 3, 12.12.4).
inline constexpr uint64_t kPatReset = 0x0007040600070406;

}  // namespace eidolon::x86
