// The VGA's I/O ports 0x3b0 to 0x3df.
#pragma once

#include <cstdint>

#include "device/display/registers.h"

namespace eidolon::device::display {

/// Where the beam is, for input status 1. Computed from the time, not kept.
struct Beam {
  bool displaying;
  bool vertical_retrace;
};
/// `nanoseconds`: of the machine's clock.
[[nodiscard]] Beam beam_at(const Registers& registers, int64_t nanoseconds);

[[nodiscard]] uint8_t read_port(Registers& registers, unsigned port, int64_t nanoseconds);
void write_port(Registers& registers, unsigned port, uint8_t value);

}  // namespace eidolon::device::display
