// The Bochs display interface: ports 0x1ce (index) and 0x1cf (data), and its copy in the MMIO BAR.
#pragma once

#include <cstdint>

#include "device/display/registers.h"

namespace eidolon::device::display {

/// What a write to the interface asks of the adapter beyond its registers.
enum class VbeEffect : uint8_t { kNone, kClearScreen };

/// `index` may be any number; so may `value`.
[[nodiscard]] uint16_t read_vbe(const Registers& registers, unsigned index, uint32_t memory_bytes);
[[nodiscard]] VbeEffect write_vbe(Registers& registers, unsigned index, uint16_t value,
                                  uint32_t memory_bytes);
/// Makes sizes and offsets fit each other and the memory; for values that come from a snapshot.
void settle_vbe(Registers& registers, uint32_t memory_bytes);

/// Bytes of a line of the virtual screen.
[[nodiscard]] uint32_t vbe_pitch(const Registers& registers);
/// Bytes of the picture from the first line of the virtual screen on: what enabling clears.
[[nodiscard]] uint32_t vbe_screen_bytes(const Registers& registers);

}  // namespace eidolon::device::display
