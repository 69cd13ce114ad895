// The processor's legacy window into display memory, 0xa0000 to 0xbffff (IBM PS/2 Video Subsystem technical
// reference, "Graphics controller"; the figures of FreeVGA's "Accessing the VGA display memory").
//
// Display memory is kept as the linear frame buffer shows it: byte 4 n + p is byte n of plane p. Chain-4 maps
// the window's byte a to that byte a, as SVGA adapters do, so that a 256-colour picture is linear in both
// views.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "device/display/registers.h"

namespace eidolon::device::display {

inline constexpr uint64_t kWindowBase = 0xa0000;
inline constexpr uint64_t kWindowBytes = 0x20000;
inline constexpr uint32_t kPlaneBytes = 0x10000;  ///< of each of the four planes of a VGA
inline constexpr uint32_t kLegacyBytes = 4 * kPlaneBytes;

/// `offset` counts from kWindowBase and is below kWindowBytes. `memory` is a power of two, at least
/// kLegacyBytes. A read loads the latches. A write says which four bytes of the memory it has changed some
/// of.
[[nodiscard]] uint8_t read_window(Registers& registers, std::span<const uint8_t> memory, uint32_t offset);
std::optional<uint32_t> write_window(Registers& registers, std::span<uint8_t> memory, uint32_t offset,
                                     uint8_t value);

}  // namespace eidolon::device::display
