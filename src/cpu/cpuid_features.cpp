#include "cpu/cpuid_features.h"

#include "cpu/cpuid_host.h"
#include "x86/control_registers.h"
#include "x86/cpuid.h"

namespace eidolon::cpu {

namespace {

using namespace x86::cpuid;

}  // namespace

FeatureWords operator&(const FeatureWords& a, const FeatureWords& b) {
  return {a.leaf1_ecx & b.leaf1_ecx,         a.leaf1_edx & b.leaf1_edx,
          a.leaf7_ebx & b.leaf7_ebx,         a.leaf7_ecx & b.leaf7_ecx,
          a.leaf7_edx & b.leaf7_edx,         a.leaf7_1_eax & b.leaf7_1_eax,
          a.leafd_1_eax & b.leafd_1_eax,     a.extended1_ecx & b.extended1_ecx,
          a.extended1_edx & b.extended1_edx, a.extended8_ebx & b.extended8_ebx};
}

FeatureWords operator|(const FeatureWords& a, const FeatureWords& b) {
  return {a.leaf1_ecx | b.leaf1_ecx,         a.leaf1_edx | b.leaf1_edx,
          a.leaf7_ebx | b.leaf7_ebx,         a.leaf7_ecx | b.leaf7_ecx,
          a.leaf7_edx | b.leaf7_edx,         a.leaf7_1_eax | b.leaf7_1_eax,
          a.leafd_1_eax | b.leafd_1_eax,     a.extended1_ecx | b.extended1_ecx,
          a.extended1_edx | b.extended1_edx, a.extended8_ebx | b.extended8_ebx};
}

FeatureWords host_features() {
  const uint32_t highest = host_cpuid(kBasic).eax;
  const uint32_t highest_extended = host_cpuid(x86::cpuid::kExtended).eax;
  FeatureWords words;
  const CpuidResult version = host_cpuid(kVersion);
  words.leaf1_ecx = version.ecx;
  words.leaf1_edx = version.edx;
  if (highest >= kStructured) {
    const CpuidResult structured = host_cpuid(kStructured);
    words.leaf7_ebx = structured.ebx;
    words.leaf7_ecx = structured.ecx;
    words.leaf7_edx = structured.edx;
    if (structured.eax >= 1) words.leaf7_1_eax = host_cpuid(kStructured, 1).eax;
  }
  if (highest >= x86::cpuid::kXsave) words.leafd_1_eax = host_cpuid(x86::cpuid::kXsave, 1).eax;
  const CpuidResult extended = host_cpuid(kExtendedVersion);
  words.extended1_ecx = extended.ecx;
  words.extended1_edx = extended.edx;
  if (highest_extended >= kAddressSizes) words.extended8_ebx = host_cpuid(kAddressSizes).ebx;

  // Without the operating system's consent the state is not there.
  const uint64_t xcr0 = host_xcr0();
  if ((xcr0 & x86::kXcr0Avx) == 0) {
    words.leaf1_ecx &= ~(kAvx | kFma | kF16c);
    words.leaf7_ebx &= ~kAvx2;
    words.leaf7_ecx &= ~(kVaes | kVpclmulqdq);
    words.leaf7_1_eax &= ~kAvxVnni;
  }
  if ((xcr0 & x86::kXcr0Avx512) != x86::kXcr0Avx512) {
    words.leaf7_ebx &= ~(kAvx512F | kAvx512Dq | kAvx512Ifma | kAvx512Cd | kAvx512Bw | kAvx512Vl);
    words.leaf7_ecx &= ~(kAvx512Vbmi | kAvx512Vbmi2 | kAvx512Vnni | kAvx512Bitalg | kAvx512Vpopcntdq);
    words.leaf7_edx &= ~(kAvx512Vp2Intersect | kAvx512Fp16);
    words.leaf7_1_eax &= ~kAvx512Bf16;
  }
  if (xcr0 == 0) words.leaf1_ecx &= ~kXsaveBit;
  return words;
}

// Hidden are: what is not virtualized (VMX, SVM, SGX, TDX, MPX, PKU, LA57, AMX, CET, UINTR, TSX, PT, MONITOR,
// the performance counters, thermal and power control) and what the decoder does not know (XOP, FMA4, 3DNow!,
// AVX-IFMA and later). Hidden too are the controls of speculation (IBRS, STIBP, SSBD, ARCH_CAPABILITIES,
// MD_CLEAR, L1D_FLUSH): writing the guest's settings into the host's MSRs is beyond a user process, and
// without that they would promise a protection which is not there.
FeatureWords passed_features() {
  return {
      .leaf1_ecx = kSse3 | kPclmulqdq | kSsse3 | kFma | kCx16 | kPcid | kSse41 | kSse42 | kMovbe | kPopcnt |
                   kAes | kXsaveBit | kAvx | kF16c | kRdrand,
      .leaf1_edx = kCx8 | kCmov | kClflush | kMmx | kFxsr | kSse | kSse2 | kSelfSnoop,
      .leaf7_ebx = kFsGsBase | kBmi1 | kAvx2 | kSmep | kBmi2 | kErms | kInvpcid | kAvx512F | kAvx512Dq |
                   kRdseed | kAdx | kSmap | kAvx512Ifma | kClflushOpt | kClwb | kAvx512Cd | kSha | kAvx512Bw |
                   kAvx512Vl,
      .leaf7_ecx = kAvx512Vbmi | kAvx512Vbmi2 | kGfni | kVaes | kVpclmulqdq | kAvx512Vnni | kAvx512Bitalg |
                   kAvx512Vpopcntdq | kRdpid | kCldemote | kMovdiri | kMovdir64b,
      .leaf7_edx = kFsrm | kAvx512Vp2Intersect | kSerialize | kAvx512Fp16,
      .leaf7_1_eax = kAvxVnni | kAvx512Bf16 | kFastShortRepMask,
      .leafd_1_eax = kXsaveOpt | kXsaveC | kXgetbv1,
      .extended1_ecx = kLahf | kLzcnt | kSse4a | kPrefetchw | kTopologyExtensions,
      .extended1_edx = kMmxExt,
      .extended8_ebx = kClzero | kWbnoinvd,
  };
}

// FDP_EXCPTN_ONLY and the deprecated FCS and FDS make honest of the zeros in x87 images.
FeatureWords basic_features() {
  return {
      .leaf1_ecx = kX2Apic | kTscDeadline | kHypervisorPresent,
      .leaf1_edx = kFpu | kVme | kDe | kPse | kTsc | kMsr | kPae | kMce | kApic | kSep | kMtrr | kPge | kMca |
                   kPat | kPse36,
      .leaf7_ebx = kTscAdjust | kFdpExceptionOnly | kNoFcsFds,
      .extended1_edx = kSyscall | kNx | kRdtscp | kLongMode,
  };
}

FeatureWords provided_features() {
  FeatureWords more;
  more.leaf7_ecx = kUmip;
  more.extended1_edx = kPage1Gb;
  return basic_features() | more;
}

FeatureWords level_features(unsigned level) {
  FeatureWords words;
  words.leaf1_edx = kCx8 | kCmov | kClflush | kMmx | kFxsr | kSse | kSse2;
  if (level >= 2) {
    words.leaf1_ecx |= kSse3 | kSsse3 | kCx16 | kSse41 | kSse42 | kPopcnt;
    words.extended1_ecx |= kLahf;
  }
  if (level >= 3) {
    words.leaf1_ecx |= kFma | kMovbe | kXsaveBit | kAvx | kF16c;
    words.leaf7_ebx |= kBmi1 | kAvx2 | kBmi2;
    words.extended1_ecx |= kLzcnt;
  }
  return words;
}

}  // namespace eidolon::cpu
