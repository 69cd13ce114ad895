// CR0, CR3, CR4, EFER and XCR0 (SDM vol. 3, 2.5, 2.2.1 and 2.6).
#pragma once

#include <cstdint>

namespace eidolon::x86 {

inline constexpr uint64_t kCr0Pe = 1ull << 0;
inline constexpr uint64_t kCr0Mp = 1ull << 1;
inline constexpr uint64_t kCr0Em = 1ull << 2;
inline constexpr uint64_t kCr0Ts = 1ull << 3;
inline constexpr uint64_t kCr0Et = 1ull << 4;
inline constexpr uint64_t kCr0Ne = 1ull << 5;
inline constexpr uint64_t kCr0Wp = 1ull << 16;
inline constexpr uint64_t kCr0Am = 1ull << 18;
inline constexpr uint64_t kCr0Nw = 1ull << 29;
inline constexpr uint64_t kCr0Cd = 1ull << 30;
inline constexpr uint64_t kCr0Pg = 1ull << 31;

inline constexpr uint64_t kCr3PcidMask = 0xfff;
inline constexpr uint64_t kCr3NoFlush = 1ull << 63;

inline constexpr uint64_t kCr4Vme = 1ull << 0;
inline constexpr uint64_t kCr4Pvi = 1ull << 1;
inline constexpr uint64_t kCr4Tsd = 1ull << 2;
inline constexpr uint64_t kCr4De = 1ull << 3;
inline constexpr uint64_t kCr4Pse = 1ull << 4;
inline constexpr uint64_t kCr4Pae = 1ull << 5;
inline constexpr uint64_t kCr4Mce = 1ull << 6;
inline constexpr uint64_t kCr4Pge = 1ull << 7;
inline constexpr uint64_t kCr4Pce = 1ull << 8;
inline constexpr uint64_t kCr4OsFxsr = 1ull << 9;
inline constexpr uint64_t kCr4OsXmmExcpt = 1ull << 10;
inline constexpr uint64_t kCr4Umip = 1ull << 11;
inline constexpr uint64_t kCr4La57 = 1ull << 12;
inline constexpr uint64_t kCr4Vmxe = 1ull << 13;
inline constexpr uint64_t kCr4FsGsBase = 1ull << 16;
inline constexpr uint64_t kCr4PcidE = 1ull << 17;
inline constexpr uint64_t kCr4OsXsave = 1ull << 18;
inline constexpr uint64_t kCr4Smep = 1ull << 20;
inline constexpr uint64_t kCr4Smap = 1ull << 21;

inline constexpr uint64_t kEferSce = 1ull << 0;
inline constexpr uint64_t kEferLme = 1ull << 8;
inline constexpr uint64_t kEferLma = 1ull << 10;
inline constexpr uint64_t kEferNxe = 1ull << 11;

inline constexpr uint64_t kXcr0X87 = 1ull << 0;
inline constexpr uint64_t kXcr0Sse = 1ull << 1;
inline constexpr uint64_t kXcr0Avx = 1ull << 2;
inline constexpr uint64_t kXcr0Avx512 = 7ull << 5;  ///< opmask, ZMM_Hi256, Hi16_ZMM

}  // namespace eidolon::x86
