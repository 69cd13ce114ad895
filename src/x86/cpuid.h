// CPUID leaves and feature bits (SDM volume 2, CPUID; AMD APM volume 3, appendix E).
#pragma once

#include <cstdint>

namespace eidolon::x86::cpuid {

inline constexpr uint32_t kBasic = 0;
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kCaches = 4;
inline constexpr uint32_t kPower = 6;
inline constexpr uint32_t kStructured = 7;
inline constexpr uint32_t kTopology = 0xb;
inline constexpr uint32_t kXsave = 0xd;
inline constexpr uint32_t kTscFrequency = 0x15;
inline constexpr uint32_t kProcessorFrequency = 0x16;
inline constexpr uint32_t kTopologyV2 = 0x1f;
inline constexpr uint32_t kHypervisor = 0x40000000;
inline constexpr uint32_t kHypervisorTiming = 0x40000010;
inline constexpr uint32_t kExtended = 0x80000000;
inline constexpr uint32_t kExtendedVersion = 0x80000001;
inline constexpr uint32_t kBrand = 0x80000002;  ///< three leaves
inline constexpr uint32_t kPowerManagement = 0x80000007;
inline constexpr uint32_t kAddressSizes = 0x80000008;
inline constexpr uint32_t kAmdCaches = 0x8000001d;
inline constexpr uint32_t kAmdTopology = 0x8000001e;

// Leaf 1, ECX.
inline constexpr uint32_t kSse3 = 1u << 0;
inline constexpr uint32_t kPclmulqdq = 1u << 1;
inline constexpr uint32_t kMonitor = 1u << 3;
inline constexpr uint32_t kSsse3 = 1u << 9;
inline constexpr uint32_t kFma = 1u << 12;
inline constexpr uint32_t kCx16 = 1u << 13;
inline constexpr uint32_t kPcid = 1u << 17;
inline constexpr uint32_t kSse41 = 1u << 19;
inline constexpr uint32_t kSse42 = 1u << 20;
inline constexpr uint32_t kX2Apic = 1u << 21;
inline constexpr uint32_t kMovbe = 1u << 22;
inline constexpr uint32_t kPopcnt = 1u << 23;
inline constexpr uint32_t kTscDeadline = 1u << 24;
inline constexpr uint32_t kAes = 1u << 25;
inline constexpr uint32_t kXsaveBit = 1u << 26;
inline constexpr uint32_t kOsXsave = 1u << 27;
inline constexpr uint32_t kAvx = 1u << 28;
inline constexpr uint32_t kF16c = 1u << 29;
inline constexpr uint32_t kRdrand = 1u << 30;
inline constexpr uint32_t kHypervisorPresent = 1u << 31;

// Leaf 1, EDX.
inline constexpr uint32_t kFpu = 1u << 0;
inline constexpr uint32_t kVme = 1u << 1;
inline constexpr uint32_t kDe = 1u << 2;
inline constexpr uint32_t kPse = 1u << 3;
inline constexpr uint32_t kTsc = 1u << 4;
inline constexpr uint32_t kMsr = 1u << 5;
inline constexpr uint32_t kPae = 1u << 6;
inline constexpr uint32_t kMce = 1u << 7;
inline constexpr uint32_t kCx8 = 1u << 8;
inline constexpr uint32_t kApic = 1u << 9;
inline constexpr uint32_t kSep = 1u << 11;
inline constexpr uint32_t kMtrr = 1u << 12;
inline constexpr uint32_t kPge = 1u << 13;
inline constexpr uint32_t kMca = 1u << 14;
inline constexpr uint32_t kCmov = 1u << 15;
inline constexpr uint32_t kPat = 1u << 16;
inline constexpr uint32_t kPse36 = 1u << 17;
inline constexpr uint32_t kClflush = 1u << 19;
inline constexpr uint32_t kMmx = 1u << 23;
inline constexpr uint32_t kFxsr = 1u << 24;
inline constexpr uint32_t kSse = 1u << 25;
inline constexpr uint32_t kSse2 = 1u << 26;
inline constexpr uint32_t kSelfSnoop = 1u << 27;
inline constexpr uint32_t kHtt = 1u << 28;  ///< EBX says how many processors the package has

// Leaves 4 and 0x8000001d, EAX: type, level and properties, without who shares it.
inline constexpr uint32_t kCacheTypeMask = 0x1f;
inline constexpr uint32_t kCacheKindMask = 0x3fff;

// Leaf 7, subleaf 0, EBX.
inline constexpr uint32_t kFsGsBase = 1u << 0;
inline constexpr uint32_t kTscAdjust = 1u << 1;
inline constexpr uint32_t kBmi1 = 1u << 3;
inline constexpr uint32_t kAvx2 = 1u << 5;
inline constexpr uint32_t kFdpExceptionOnly = 1u << 6;
inline constexpr uint32_t kSmep = 1u << 7;
inline constexpr uint32_t kBmi2 = 1u << 8;
inline constexpr uint32_t kErms = 1u << 9;
inline constexpr uint32_t kInvpcid = 1u << 10;
inline constexpr uint32_t kNoFcsFds = 1u << 13;
inline constexpr uint32_t kAvx512F = 1u << 16;
inline constexpr uint32_t kAvx512Dq = 1u << 17;
inline constexpr uint32_t kRdseed = 1u << 18;
inline constexpr uint32_t kAdx = 1u << 19;
inline constexpr uint32_t kSmap = 1u << 20;
inline constexpr uint32_t kAvx512Ifma = 1u << 21;
inline constexpr uint32_t kClflushOpt = 1u << 23;
inline constexpr uint32_t kClwb = 1u << 24;
inline constexpr uint32_t kAvx512Cd = 1u << 28;
inline constexpr uint32_t kSha = 1u << 29;
inline constexpr uint32_t kAvx512Bw = 1u << 30;
inline constexpr uint32_t kAvx512Vl = 1u << 31;

// Leaf 7, subleaf 0, ECX.
inline constexpr uint32_t kAvx512Vbmi = 1u << 1;
inline constexpr uint32_t kUmip = 1u << 2;
inline constexpr uint32_t kAvx512Vbmi2 = 1u << 6;
inline constexpr uint32_t kGfni = 1u << 8;
inline constexpr uint32_t kVaes = 1u << 9;
inline constexpr uint32_t kVpclmulqdq = 1u << 10;
inline constexpr uint32_t kAvx512Vnni = 1u << 11;
inline constexpr uint32_t kAvx512Bitalg = 1u << 12;
inline constexpr uint32_t kAvx512Vpopcntdq = 1u << 14;
inline constexpr uint32_t kRdpid = 1u << 22;
inline constexpr uint32_t kCldemote = 1u << 25;
inline constexpr uint32_t kMovdiri = 1u << 27;
inline constexpr uint32_t kMovdir64b = 1u << 28;

// Leaf 7, subleaf 0, EDX.
inline constexpr uint32_t kFsrm = 1u << 4;
inline constexpr uint32_t kAvx512Vp2Intersect = 1u << 8;
inline constexpr uint32_t kSerialize = 1u << 14;
inline constexpr uint32_t kArchCapabilities = 1u << 29;
inline constexpr uint32_t kAvx512Fp16 = 1u << 23;

// Leaf 7, subleaf 1, EAX.
inline constexpr uint32_t kAvxVnni = 1u << 4;
inline constexpr uint32_t kAvx512Bf16 = 1u << 5;
inline constexpr uint32_t kFastShortRepMask = 7u << 10;  ///< FZRM, FSRS, FSRC

// Leaf 0xd, subleaf 1, EAX.
inline constexpr uint32_t kXsaveOpt = 1u << 0;
inline constexpr uint32_t kXsaveC = 1u << 1;
inline constexpr uint32_t kXgetbv1 = 1u << 2;

// Leaf 0x80000001, ECX.
inline constexpr uint32_t kLahf = 1u << 0;
inline constexpr uint32_t kCmpLegacy = 1u << 1;
inline constexpr uint32_t kLzcnt = 1u << 5;
inline constexpr uint32_t kSse4a = 1u << 6;
inline constexpr uint32_t kPrefetchw = 1u << 8;
inline constexpr uint32_t kTopologyExtensions = 1u << 22;  ///< leaves 0x8000001d and 0x8000001e

// Leaf 0x80000001, EDX.
inline constexpr uint32_t kSyscall = 1u << 11;
inline constexpr uint32_t kNx = 1u << 20;
inline constexpr uint32_t kMmxExt = 1u << 22;
inline constexpr uint32_t kPage1Gb = 1u << 26;
inline constexpr uint32_t kRdtscp = 1u << 27;
inline constexpr uint32_t kLongMode = 1u << 29;

// Leaf 0x80000007, EDX; leaf 0x80000008, EBX; leaf 6, EAX.
inline constexpr uint32_t kInvariantTsc = 1u << 8;
inline constexpr uint32_t kClzero = 1u << 0;
inline constexpr uint32_t kWbnoinvd = 1u << 9;
inline constexpr uint32_t kArat = 1u << 2;

}  // namespace eidolon::x86::cpuid
