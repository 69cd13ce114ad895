// Mode 3 of a video BIOS, 80x25 text of 9x16 dots, for a machine that has none.
#pragma once

#include <cstdint>
#include <span>

#include "device/display/registers.h"

namespace eidolon::device::display {

[[nodiscard]] Registers text_mode_registers();
/// The font in plane 2 and an empty screen.
void write_text_screen(std::span<uint8_t> memory);

}  // namespace eidolon::device::display
