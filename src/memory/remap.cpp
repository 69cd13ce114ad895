#include "memory/remap.h"

#include <atomic>

namespace eidolon::memory {

void remap(GuestMemory& memory, GuestPhysical base, uint8_t* host, RegionKind kind) {
  for (const Region& region : memory.regions()) {
    if (region.base != base) continue;
    memory.change_map([&] {
      memory.after_map_change(base, region.host, region.length);
      // SAFETY: the regions are objects of the memory's, which are shown as const but are not.
      auto& changed = const_cast<Region&>(region);
      std::atomic_ref(changed.host).store(host);
      std::atomic_ref(changed.kind).store(kind);
    });
    return;
  }
}

}  // namespace eidolon::memory
