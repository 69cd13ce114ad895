#include "memory/remap.h"

#include <atomic>

namespace eidolon::memory {

void remap(GuestMemory& memory, GuestPhysical base, uint8_t* host, RegionKind kind) {
  for (const Region& region : memory.regions()) {
    if (region.base != base) continue;
    memory.settle_foreign_writes();  // while the addresses still mean what they did
    memory.before_write(base, region.length);
    // SAFETY: the regions are objects of the memory's, which are shown as const but are not.
    auto& changed = const_cast<Region&>(region);
    // RAM last on and first off, so that no device finds a ROM to write to.
    if (kind == RegionKind::kRom) std::atomic_ref(changed.kind).store(kind);
    std::atomic_ref(changed.host).store(host);
    std::atomic_ref(changed.kind).store(kind);
    return;
  }
}

}  // namespace eidolon::memory
