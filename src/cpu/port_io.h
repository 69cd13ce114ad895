// Who may use a port: IOPL and the I/O permission bitmap of the TSS (SDM volume 1, 19.5).
#pragma once

#include <cstdint>

#include "cpu/cpu.h"

namespace eidolon::cpu {

/// #GP(0) if the current privilege level may not access ports [port, port + size).
[[nodiscard]] Outcome<> check_io_permission(Cpu& cpu, uint16_t port, unsigned size);

}  // namespace eidolon::cpu
