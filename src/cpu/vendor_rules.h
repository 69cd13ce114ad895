// What processors of the two vendors do differently where CPUID does not tell: the meaning of instructions
// that this monitor carries out itself. Instructions that the host's processor executes follow the host.
// (Encodings that mean something else: isa/amd_forms.h. System calls and MSRs: system_call.cpp, msr.cpp.)
//
// The manuals define few of these; the others are what the processors were seen to do (Intel: Skylake to
// Sapphire Rapids, AMD: Zen), which tests/differential compares with the host.
#pragma once

#include "cpu/cpuid_model.h"
#include "x86/vendor.h"

namespace eidolon::cpu {

struct VendorRules {
  x86::Vendor vendor;
  /// REP CMPS and SCAS that fault leave the flags of the last comparison. Else those before the instruction
  /// (SDM volume 2, REP).
  bool faulting_compare_keeps_flags;
  /// BOUND loads both bounds before it compares with the first.
  bool bound_loads_both;
  /// A near CALL whose target faults has not stored its return address (but has found the stack writable).
  bool faulting_call_stores_nothing;
  /// An x87 store that an unmasked exception suppresses still faults on the operand that it does not store.
  bool suppressed_store_faults;
  /// Accesses beyond 4 GiB - 1 are beyond the limit in a flat segment too. Else they wrap around (SDM volume
  /// 3, 5.3: either is allowed).
  bool limit_ends_at_4g;
};

inline constexpr VendorRules kIntelRules = {.vendor = x86::Vendor::kIntel,
                                            .faulting_compare_keeps_flags = false,
                                            .bound_loads_both = false,
                                            .faulting_call_stores_nothing = false,
                                            .suppressed_store_faults = false,
                                            .limit_ends_at_4g = false};
inline constexpr VendorRules kAmdRules = {.vendor = x86::Vendor::kAmd,
                                          .faulting_compare_keeps_flags = true,
                                          .bound_loads_both = true,
                                          .faulting_call_stores_nothing = true,
                                          .suppressed_store_faults = true,
                                          .limit_ends_at_4g = true};

/// Those of the processor that the guest is shown.
[[nodiscard]] inline const VendorRules& rules_of(const CpuidModel& model) {
  return model.is_amd() ? kAmdRules : kIntelRules;
}

}  // namespace eidolon::cpu
