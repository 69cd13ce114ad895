// Devices at guest-physical addresses. Whoever accesses one looks for memory first, so a device under memory
// would never be asked.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "memory/guest_memory.h"
#include "memory/io_bus.h"

namespace eidolon::memory {

/// IoBus::attach, which fails too if memory is shown anywhere in the range. After the machine's memory has
/// been added.
Result<> attach_device(IoBus& mmio, const GuestMemory& memory, GuestPhysical base, uint64_t length,
                       IoHandler& handler, std::string name);

}  // namespace eidolon::memory
