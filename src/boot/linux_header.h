// The setup header of a bzImage and the boot_params page (Linux: Documentation/arch/x86/boot.rst and
// zero-page.rst). Offsets are those in boot_params; in the file the header has the same ones.
#pragma once

#include <cstdint>

namespace eidolon::boot::linux_header {

// boot_params; screen_info is at its beginning
inline constexpr uint64_t kScreenMode = 0x006;
inline constexpr uint64_t kScreenColumns = 0x007;
inline constexpr uint64_t kScreenEgaMemory = 0x00a;
inline constexpr uint64_t kScreenLines = 0x00e;
inline constexpr uint64_t kScreenType = 0x00f;
inline constexpr uint64_t kScreenPoints = 0x010;
inline constexpr uint8_t kScreenVgaText = 1;  ///< of kScreenType
inline constexpr uint64_t kParamsSize = 0x1000;
inline constexpr uint64_t kAcpiRsdp = 0x070;
inline constexpr uint64_t kE820Count = 0x1e8;
inline constexpr uint64_t kE820Table = 0x2d0;  ///< base (8), length (8), type (4)
inline constexpr unsigned kE820EntrySize = 20;
inline constexpr unsigned kE820Max = 128;

// setup header
inline constexpr uint64_t kHeader = 0x1f1;
inline constexpr uint64_t kSetupSectors = 0x1f1;
inline constexpr uint64_t kSystemSize = 0x1f4;  ///< of the protected-mode part, in 16 bytes
inline constexpr uint64_t kBootFlag = 0x1fe;
inline constexpr uint64_t kJumpDistance = 0x201;  ///< the header ends at 0x202 plus this
inline constexpr uint64_t kMagic = 0x202;
inline constexpr uint64_t kVersion = 0x206;
inline constexpr uint64_t kLoaderType = 0x210;
inline constexpr uint64_t kLoadFlags = 0x211;
inline constexpr uint64_t kCode32Start = 0x214;
inline constexpr uint64_t kRamdiskImage = 0x218;
inline constexpr uint64_t kRamdiskSize = 0x21c;
inline constexpr uint64_t kCommandLinePointer = 0x228;
inline constexpr uint64_t kInitrdMax = 0x22c;         ///< 2.03
inline constexpr uint64_t kRelocatable = 0x234;       ///< 2.05
inline constexpr uint64_t kXLoadFlags = 0x236;        ///< 2.12
inline constexpr uint64_t kCommandLineSize = 0x238;   ///< 2.06
inline constexpr uint64_t kPayloadOffset = 0x248;     ///< 2.08, from the protected-mode part
inline constexpr uint64_t kPayloadLength = 0x24c;     ///< 2.08
inline constexpr uint64_t kSetupData = 0x250;         ///< 2.09
inline constexpr uint64_t kPreferredAddress = 0x258;  ///< 2.10
inline constexpr uint64_t kInitSize = 0x260;          ///< 2.10
inline constexpr uint64_t kHeaderEnd = 0x290;         ///< room for it in boot_params

inline constexpr uint16_t kBootFlagValue = 0xaa55;
inline constexpr uint32_t kMagicValue = 0x53726448;  ///< "HdrS"
inline constexpr uint16_t kOldestVersion = 0x202;    ///< command lines by pointer
inline constexpr uint8_t kLoadedHigh = 1;
inline constexpr uint8_t kKaslr = 2;  ///< set by the kernel's unpacker for the kernel
inline constexpr uint8_t kUnknownLoader = 0xff;
inline constexpr uint16_t kXlfKernel64 = 1;
inline constexpr uint64_t kEntry64 = 0x200;  ///< from the load address

}  // namespace eidolon::boot::linux_header
