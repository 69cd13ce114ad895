// Whose rules a processor follows where Intel's and AMD's manuals differ. A guest is shown the rules of the
// vendor that CPUID tells it.
#pragma once

#include <cstdint>

namespace eidolon::x86 {

enum class Vendor : uint8_t { kIntel, kAmd };

/// The vendor that EBX and ECX of CPUID leaf 0 name. Hygon's processors are AMD's design; whoever else made
/// one follows Intel.
[[nodiscard]] constexpr Vendor vendor_of(uint32_t ebx, uint32_t ecx) {
  const bool amd = ebx == 0x68747541 && ecx == 0x444d4163;    // Auth ... cAMD
  const bool hygon = ebx == 0x6f677948 && ecx == 0x656e6975;  // Hygo ... uine
  return amd || hygon ? Vendor::kAmd : Vendor::kIntel;
}

}  // namespace eidolon::x86
