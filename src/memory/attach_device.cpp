#include "memory/attach_device.h"

#include <utility>

namespace eidolon::memory {

Result<> attach_device(IoBus& mmio, const GuestMemory& memory, GuestPhysical base, uint64_t length,
                       IoHandler& handler, std::string name) {
  for (const Region& region : memory.map())
    if (base < region.base ? region.base - base < length : base - region.base < region.length)
      return fail("device {} at {:#x} would be under the memory at {:#x}; give it a range of its own", name,
                  base, region.base);
  return mmio.attach(base, length, handler, std::move(name));
}

}  // namespace eidolon::memory
