// The guest's x87 and vector state between the host's registers and State::fpu.
#pragma once

#include <cstdint>

#include "cpu/state.h"

namespace eidolon::engine::translate {

/// XCR0 components of the host that a guest may use; all are saved and restored.
[[nodiscard]] inline uint64_t guest_components() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32 | low) & (x86::kXcr0X87 | x86::kXcr0Sse | x86::kXcr0Avx | x86::kXcr0Avx512);
}

[[nodiscard]] bool host_has_xsaveopt();

/// Registers to `image`, then the state that C++ expects: default control words, empty x87 stack, upper
/// halves clear. XSAVEOPT writes only what changed since the XRSTOR from the same image: after most exits
/// nothing.
inline void save_extended(cpu::XsaveImage& image, uint64_t mask, bool xsaveopt) {
  static constexpr uint32_t kMxcsr = 0x1f80;
  const auto low = static_cast<uint32_t>(mask);
  const auto high = static_cast<uint32_t>(mask >> 32);
  // SAFETY: `image` is 64-byte aligned and large enough for every component in `mask`.
  if (xsaveopt)
    asm volatile("xsaveopt64 %0" : "+m"(image) : "a"(low), "d"(high));
  else
    asm volatile("xsave64 %0" : "+m"(image) : "a"(low), "d"(high));
  asm volatile("fninit\n\tvzeroupper\n\tldmxcsr %0" : : "m"(kMxcsr));
}

inline void load_extended(const cpu::XsaveImage& image, uint64_t mask) {
  // SAFETY: the image was written by save_extended or passed sanitize_image: reserved bits are clear.
  asm volatile("xrstor64 %0"
               :
               : "m"(image), "a"(static_cast<uint32_t>(mask)), "d"(static_cast<uint32_t>(mask >> 32)));
}

/// As XSAVEC stores it; the registers stay as they are.
inline void store_compacted(cpu::XsaveImage& image, uint64_t mask) {
  // SAFETY: `image` is 64-byte aligned, and no smaller than all components in the standard format.
  asm volatile("xsavec64 %0"
               : "+m"(image)
               : "a"(static_cast<uint32_t>(mask)), "d"(static_cast<uint32_t>(mask >> 32)));
}

/// Makes an image that anybody wrote acceptable to XRSTOR.
void sanitize_image(cpu::XsaveImage& image, uint64_t mask);
/// Takes the addresses of generated code out of the x87 pointers (FIP, FDP).
void hide_host_pointers(cpu::XsaveImage& image);

}  // namespace eidolon::engine::translate
